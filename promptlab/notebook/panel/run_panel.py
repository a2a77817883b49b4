"""The run panel: what the panel and the playground have in common.

What the user chooses is planned at once, and asked when the user says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import ipywidgets as widgets

from promptlab.experiment import Experiment
from promptlab.formats import counted
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
    from promptlab.planning.plan import Plan

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
    """Controls that plan what is chosen at once, and ask it in a thread of its own, one
    run at a time."""

    def __init__(self, options: Mapping[str, Any], run: str) -> None:
        """`run` is the label of the button that starts a run."""
        super().__init__()
        self._options = dict(options)
        self._lock = threading.RLock()
        self._debouncer = Debouncer(self._summarise, self._show_summary)
        self._running = self._stopping = False
        self._thread: threading.Thread | None = None
        self._cancel: Callable[[], object] | None = None
        self.run_button = button(run, icon="play", button_style="primary")
        self.stop_button = button("Stop", icon="stop", disabled=True)
        self.summary = widgets.HTML(layout=widgets.Layout(flex="1 1 300px"))
        """The calls and cost of a run, or why there can be none."""
        self.code = writing("Code", height="260px")
        """The code of the experiment that is chosen."""
        self._progress = widgets.HTML()
        self.run_button.on_click(lambda _: self._run())
        self.stop_button.on_click(lambda _: self._stop())

    @property
    def experiment(self) -> Experiment:
        """What is chosen, as an experiment.

        Raises:
            SpecError: it cannot be run as it is.
        """
        return self._chosen().experiment

    def settle(self, timeout_s: float | None = None) -> bool:
        """Waits for the run to end and the summary to be up to date; True if they are
        within so many seconds."""
        if (thread := self._thread) is not None:
            thread.join(timeout_s)
        return self._debouncer.settle(timeout_s) and not self._running

    # What a panel is a panel of.

    def _chosen(self) -> Chosen:
        """What the controls say now."""
        raise NotImplementedError

    def _ask(self, chosen: Chosen) -> None:
        """Asks what is chosen and shows what comes; called in the thread of the run."""
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
        self.run_button.disabled = self._running or not can_run
        self.stop_button.disabled = not self._running

    # Runs.

    def _run(self) -> None:
        with self._lock:
            if self._running:
                return
            self._running, self._stopping = True, False
            self._progress.value = quiet_html("starting …")
            self._show_buttons(can_run=True)
            chosen = (self._chosen(),)
            self._thread = threading.Thread(target=self._work, args=chosen, daemon=True)
            self._thread.start()

    def _work(self, chosen: Chosen) -> None:
        try:
            self._ask(chosen)
        except Exception as error:
            self._show_failure(error)
        finally:
            with self._lock:
                self._running, self._cancel = False, None
            self._plan()

    def _may_stop(self, cancel: Callable[[], object]) -> None:
        """Takes what ends the run that has started, for the button that stops it."""
        with self._lock:
            self._cancel = cancel
            if self._stopping:
                cancel()

    def _stop(self) -> None:
        """Stops the run; calls in flight may finish, unless it is called again."""
        with self._lock:
            self._stopping = True
            if self._cancel is not None:
                self._cancel()

    def _show_failure(self, error: Exception) -> None:
        with self._lock:
            self._progress.value = fault_html(error)


def _plan_line(plan: Plan) -> str:
    """The calls, tokens and cost of a plan in a line of HTML, with its warnings."""
    counts = plan.counts
    parts = [f"<b>{counted(len(plan.statuses), 'trial')}</b>"]
    parts += [f"{counts['cached']:,} cached"] if counts["cached"] else []
    parts += [f"<b>{counted(plan.calls, 'call')}</b> to make"]
    if plan.calls:
        parts += [f"tokens {escaped(plan.tokens)}"]
        parts += [f"cost: {escaped(plan.cost)}"]
    parts += [escaped(str(each)) for each in plan.judging]
    warned = plan.experiment.warnings[:NOTES]
    notes = "".join(f"<br>{quiet_html(warning)}" for warning in warned)
    return f"<span class='mathjax_ignore'>{' · '.join(parts)}{notes}</span>"
