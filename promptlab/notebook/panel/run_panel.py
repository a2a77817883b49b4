"""The run panel: what the panel and the playground have in common.

What the user chooses is planned at once, and run when the user says so.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets as widgets

from promptlab.experiment import Experiment
from promptlab.formats import counted
from promptlab.notebook.panel.background import Background
from promptlab.notebook.panel.code import experiment_code
from promptlab.notebook.panel.debounce import Debouncer
from promptlab.notebook.widgets.controls import (
    ControlBox,
    button,
    fault_html,
    quiet_html,
    writing,
)
from promptlab.render.markup import escaped

if TYPE_CHECKING:
    from promptlab.execution.runner import Handle
    from promptlab.planning.plan import Plan
    from promptlab.results.results import Results

NOTES = 2
"""The most warnings that are shown beside a plan."""


class Chosen(Protocol):
    """The state of a panel's controls at one moment."""

    @property
    def experiment(self) -> Experiment:
        """The experiment that a run would be of.

        Raises:
            SpecError: it cannot be run as it is.
        """


@dataclass(frozen=True)
class PanelSummary:
    """The plan of a run and its code, or why there can be no run."""

    chosen: Chosen
    plan: Plan | None = None
    code: str = ""
    error: Exception | None = None


class RunPanel(ControlBox):
    """Controls that plan what is chosen at once, and run it in the background."""

    def __init__(self, options: Mapping[str, Any], run: str) -> None:
        """`run` is the label of the button that starts a run."""
        super().__init__()
        self._options = dict(options)
        self._lock = threading.RLock()
        self._results: Results | None = None
        self._debouncer = Debouncer(self._summarise, self._show_summary)
        self._background = Background(
            going=self._show_progress,
            done=self._show_results,
            failed=self._show_failure,
            over=self._plan,
        )
        self.run_button = button(run, icon="play", button_style="primary")
        self.stop_button = button("Stop", icon="stop", disabled=True)
        self.summary = widgets.HTML(layout=widgets.Layout(flex="1 1 300px"))
        """The calls and cost of a run, or why there can be none."""
        self.code = writing("Code", height="260px")
        """The code of the experiment that is chosen."""
        self._progress = widgets.HTML()
        self.run_button.on_click(lambda _: self._run())
        self.stop_button.on_click(lambda _: self._background.stop())

    @property
    def experiment(self) -> Experiment:
        """What is chosen, as an experiment.

        Raises:
            SpecError: it cannot be run as it is.
        """
        return self._chosen().experiment

    @property
    def results(self) -> Results | None:
        """The results of the last run; None before."""
        return self._results

    def settle(self, timeout_s: float | None = None) -> bool:
        """Waits for the run to end and the summary to be up to date; True if they are
        within so many seconds."""
        self._background.wait(timeout_s)
        return self._debouncer.settle(timeout_s) and not self._background.running

    def _chosen(self) -> Chosen:
        raise NotImplementedError

    def _code(self, experiment: Experiment) -> str:
        return experiment_code(experiment)

    # What a run would make.

    def _plan(self, _: Any = None) -> None:
        self._debouncer.ask(self._chosen())
        if self.summary.value and "plp-stale" not in self.summary._dom_classes:
            self.summary.add_class("plp-stale")

    def _summarise(self, chosen: Chosen) -> PanelSummary:
        try:
            experiment = chosen.experiment
            planned = experiment.plan(**self._options)
            return PanelSummary(chosen, planned, self._code(experiment))
        except Exception as error:
            return PanelSummary(chosen, error=error)

    def _show_summary(self, summary: PanelSummary) -> None:
        with self._lock:
            if summary.plan is not None:
                self.summary.value = _plan_line(summary.plan)
                self.code.value = summary.code
            else:
                self.summary.value = fault_html(summary.error or "")
            self.summary.remove_class("plp-stale")
            self._show_buttons(can_run=summary.plan is not None)

    def _show_buttons(self, *, can_run: bool) -> None:
        running = self._background.running
        self.run_button.disabled = running or not can_run
        self.stop_button.disabled = not running

    # Runs.

    def _run(self) -> None:
        with self._lock:
            chosen = self._chosen()
            if self._background.start(lambda: chosen.experiment, self._options):
                self._show_start(chosen)

    def _show_start(self, chosen: Chosen) -> None:
        self._progress.value = quiet_html("starting …")
        self._show_buttons(can_run=True)

    def _show_progress(self, handle: Handle) -> None:
        with self._lock:
            self._progress.value = handle._repr_html_()

    def _show_failure(self, error: Exception) -> None:
        with self._lock:
            self._progress.value = fault_html(error)

    def _show_results(self, results: Results) -> None:
        with self._lock:
            self._results = results


def _plan_line(plan: Plan) -> str:
    """The calls, tokens and cost of a plan in a line of HTML, with its warnings."""
    counts = plan.counts
    parts = [f"<b>{counted(len(plan.statuses), 'trial')}</b>"]
    parts += [f"{counts['cached']:,} cached"] if counts["cached"] else []
    parts += [f"<b>{counted(plan.calls, 'call')}</b> to make"]
    if plan.calls:
        parts += [f"tokens {escaped(plan.tokens)}"]
        parts += [f"cost: {escaped(plan.cost)}"]
    warned = plan.experiment.warnings[:NOTES]
    notes = "".join(f"<br>{quiet_html(warning)}" for warning in warned)
    return f"<span class='mathjax_ignore'>{' · '.join(parts)}{notes}</span>"
