"""Selection: the experiment of a config file, as the options narrow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import typer

from promptlab.errors import ExportError, SpecError, did_you_mean
from promptlab.execution.options import RunOptions

if TYPE_CHECKING:
    from promptlab.experiment import Experiment
    from promptlab.files.config import Config


def load_config(path: Path, var: Sequence[str] | None) -> Config:
    """A config file, with the inputs of `--var` in every case.

    Raises:
        SpecError: it is wrong, or one of the inputs is of no use.
    """
    from promptlab.files import config

    return config.load_config(path, dict(pair("--var", text) for text in var or ()))


def selected(
    experiment: Experiment,
    repeats: int | None,
    limit: str | None,
    only: list[str] | None,
) -> Experiment:
    """The experiment, with what the options leave of it."""
    if only:
        wanted: dict[str, list[Any]] = {}
        for entry in only:
            name, text = pair("--only", entry)
            wanted.setdefault(name, []).append(_label(experiment, name, text))
        experiment = experiment.only(
            **{n: v if len(v) > 1 else v[0] for n, v in wanted.items()}
        )
    if limit:
        experiment = experiment.limit(_cases(limit))
    if repeats:
        experiment = experiment.with_repeats(repeats)
    return experiment


def pair(option: str, text: str) -> tuple[str, str]:
    """The two sides of `NAME=VALUE`, as it was given to an option."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"{option}: expected NAME=VALUE, got {text!r}")
    return name, value


def _label(experiment: Experiment, name: str, text: str) -> Any:
    """The value of a parameter that a string on the command line means."""
    if name not in experiment.grid.parameters:
        return text  # `only` names the parameters
    for level in experiment.grid.levels(name):
        if text in _spellings(level.label):
            return level.label
    return text


def _spellings(label: object) -> tuple[str, ...]:
    """How a value is shown, and how a config file has it: `None`, `null`."""
    written = orjson.dumps(label).decode()
    number = isinstance(label, float) and label.is_integer()
    return str(label), written, f"{label:g}" if number else written


def _cases(limit: str) -> slice:
    first, dash, last = limit.partition("-")
    try:
        start, end = (int(first), int(last)) if dash else (1, int(first))
    except ValueError:
        start = end = 0
    if not 1 <= start <= end:
        raise typer.BadParameter(
            f"--limit: expected N or A-B, such as 10 or 11-20, got {limit!r}"
        )
    return slice(start - 1, end)


def options_of(config: Config, given: Mapping[str, Any]) -> RunOptions:
    """The options of the file, and over them those given on the command line.

    Raises:
        CredentialsError: the file would send a service's key to another.
    """
    from promptlab.models.credentials import check_foreign

    options = given_options(given)
    run_options = RunOptions(**{**config.options, **options})
    if "api_key_env" in options:
        return run_options
    models = [level.value for level in config.experiment.grid.levels("model")]
    urls = dict.fromkeys(map(run_options.base_url_for, models))
    check_foreign(run_options.api_key_env, urls, run_options.variables)
    return run_options


def given_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run that were given on the command line, by name."""
    options = {name: value for name, value in given.items() if value is not None}
    if "headers" in options:
        options["headers"] = _headers(options["headers"])
    if "api_key_env" in options:
        options["api_key_env"] = _variables(options["api_key_env"])
    return options


def check_models(experiment: Experiment, options: RunOptions) -> None:
    """Raises `SpecError` when a model is named as an offline one, and none has
    that name: a run would only say so for each trial."""
    from promptlab.offline import MODELS
    from promptlab.spec.address import OFFLINE_SCHEME

    if "base_url" in experiment.grid.parameters:
        return
    for model in (level.value for level in experiment.grid.levels("model")):
        is_offline = options.base_url_for(model).startswith(OFFLINE_SCHEME)
        if is_offline and model not in MODELS:
            raise SpecError(
                f"no offline model {model!r}"
                + (did_you_mean(model, MODELS) or f"; valid names: {', '.join(MODELS)}")
            )


def merged(config: Config, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the file, and over them those that are given; for what makes no
    call."""
    return {**config.options, **{n: v for n, v in given.items() if v is not None}}


def _headers(given: Sequence[str]) -> dict[str, str]:
    """The headers of `--headers`; a wrong one is not shown, as it may be a key."""
    pairs = [text.partition("=")[::2] for text in given]
    if not all(name and value for name, value in pairs):
        raise typer.BadParameter("--headers: expected NAME=VALUE")
    return dict(pairs)


def _variables(given: Sequence[str]) -> str | dict[str, str]:
    """The variable of `--api-key-env`, or that of each server."""
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    pairs = [text.rpartition("=")[::2] for text in given]
    if not all(url and name for url, name in pairs):
        raise typer.BadParameter("--api-key-env takes NAME, or URL=NAME of each server")
    return dict(pairs)


def check_targets(targets: Sequence[Path], inputs: Sequence[Path] = ()) -> None:
    """Raises `ExportError` when a table cannot be written to one of the files, or
    would take the place of one that the experiment is read from."""
    from promptlab.results.exports import check_target

    for target in targets:
        for file in inputs:
            if _same(target, file):
                raise ExportError(
                    f"{target} cannot be an output: the experiment is read from "
                    f"{'it' if target == file else file}; name another file"
                )
        check_target(target)


def _same(one: Path, other: Path) -> bool:
    """Whether two names are those of one file, by whatever links."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return False
