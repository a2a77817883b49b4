VENV ?= .venv
PYTHON := $(VENV)/bin/python
# A process for each core; a file, and so a notebook, stays in one. None may last for ever.
TESTS := -m pytest -q -n logical --dist loadfile --timeout 300
DEMO := datasets/support_tickets/experiment.yaml

.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

setup: $(VENV)/.ready  ## Make the virtual environment

$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install -q --disable-pip-version-check uv
	$(VENV)/bin/uv pip install -q --python $(PYTHON) -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup  ## Run a real grid on the offline model: no key, no network
	$(PYTHON) -m promptlab run $(DEMO)

test: setup  ## Run all tests
	$(PYTHON) $(TESTS)
	$(PYTHON) $(TESTS) tests/browser

check: setup  ## Format, lint, check types and spelling, then test
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell
	$(PYTHON) $(TESTS)
	$(PYTHON) $(TESTS) tests/browser

servers: setup  ## Install servers that are not ours, for the tests in tests/server
	.ci/servers

bench: setup  ## Measure against a bare client and a hand-written loop, and in JupyterLab
	$(PYTHON) -m benchmarks

screenshots: setup  ## Take pictures of the notebook's views, to look at
	PYTHONPATH=tests $(PYTHON) -m browser.screenshots out/screenshots

picture: setup  ## Take the picture of the README, notebooks/comparison.png
	PYTHONPATH=tests $(PYTHON) -m browser.picture notebooks/comparison.png

notebooks: setup  ## Run the notebooks again and store their outputs
	PYTHONPATH=tests $(PYTHON) -m tutorials notebooks/*.ipynb

lab: setup  ## Open the notebooks in JupyterLab
	$(VENV)/bin/jupyter lab notebooks

.PHONY: help setup demo test check servers bench screenshots picture notebooks lab
