"""The playground: one conversation with a few models or settings, side by side."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from promptlab.errors import SpecError
from promptlab.experiment import Experiment
from promptlab.notebook.panel.background import Background
from promptlab.notebook.panel.code import experiment_code
from promptlab.notebook.panel.conversation import (
    Column,
    Conversation,
    Heard,
    conversation_html,
    heard,
)
from promptlab.notebook.panel.debounce import Debouncer
from promptlab.notebook.widgets.controls import (
    ControlBox,
    button,
    close_all,
    fault_html,
    folded,
    in_a_row,
    plan_line,
    quiet_html,
    stop_button,
    telling,
    writing,
)
from promptlab.secret import sealed

if TYPE_CHECKING:
    from promptlab.execution.handle import Handle
    from promptlab.planning.plan import Plan
    from promptlab.results.results import Results

MOST_COLUMNS = 4
MOST_FIELDS = 12
"""Holes that get a box each."""

BEGIN = "Write a message to begin."

OFFLINE = ("offline/small", "offline/large")
"""Models that are suggested beside those given."""


def playground(
    models: Sequence[str] | str = ("offline/small",),
    *,
    system: str = "",
    prompt: str = "",
    **options: Any,
) -> Playground:
    """A conversation with one to four models or settings side by side.

    `{{holes}}` in a message get a box each. Every send is an experiment, so what was
    answered once is never paid for again; `.experiment` is that experiment, and its
    code is under "As code". The options are those of `Experiment.run`.

    Raises:
        SpecError: there is no model, or there are more than four.
    """
    options = sealed(options)
    names = [models] if isinstance(models, str) else list(models)
    if not 1 <= len(names) <= MOST_COLUMNS:
        raise SpecError(
            f"playground: expected 1 to {MOST_COLUMNS} models, got {len(names)}"
        )
    return Playground(names, system, prompt, options)


@dataclass(frozen=True)
class PanelSummary:
    """What there is to say of a talk before it is sent."""

    fields: tuple[str, ...] | None = None
    """The holes, where they are known."""
    plan: Plan | None = None
    code: str = ""
    error: Exception | None = None


class Playground(ControlBox):
    """A talk and its controls. `experiment` is what a send would run, `results` what
    the last one gave."""

    def __init__(
        self,
        models: Sequence[str],
        system: str,
        prompt: str,
        options: Mapping[str, Any],
    ) -> None:
        self._options = dict(options)
        self._models = tuple(dict.fromkeys([*models, *OFFLINE]))
        self._lock = threading.RLock()
        self._talk = Conversation(columns=())
        self._answers: list[Heard] = []
        self._sending = self._talk
        self._outcomes = -1
        self._results: Results | None = None
        self._latest = Debouncer(self._told, self._tell)
        self._background = Background(
            going=self._show_progress,
            done=self._take,
            failed=self._show_failure,
            over=self._plan,
        )
        self._make_controls(system, prompt)
        super().__init__(self._laid_out())
        for model in models:
            self.add_column(model)
        self._listen()
        self._plan()

    @property
    def experiment(self) -> Experiment:
        """What is on screen, with the message that is not sent yet, as an experiment.

        Raises:
            SpecError: it cannot be run as it is.
        """
        return self._next().experiment

    @property
    def results(self) -> Results | None:
        """What the last send gave; None before."""
        return self._results

    def settle(self, timeout_s: float | None = None) -> bool:
        """Waits until what is told is up to date and no run goes on; whether that
        came."""
        self._background.wait(timeout_s)
        return self._latest.settle(timeout_s) and not self._background.running

    def add_column(self, model: str = "") -> None:
        """Adds a column, up to four of them."""
        with self._lock:
            if len(self.columns.children) < MOST_COLUMNS:
                column = ColumnControls(model or self._models[0], self._models)
                column.listen(self._plan, self._remove)
                self.columns.children = (*self.columns.children, column)
                self._show_columns()

    # The controls.

    def _make_controls(self, system: str, prompt: str) -> None:
        self.system = writing(
            *("System message", system),
            height="44px",
            placeholder="System message (none)",
        )
        self.columns = widgets.HBox().add_class("plp-sides")
        self.add_button = button("Add a column", icon="plus")
        self.inputs: dict[str, Any] = {}
        """By hole, the box of what fills it."""
        self._holes = in_a_row()
        self.message = writing(
            *("Message", prompt),
            height="72px",
            placeholder="Message, with {{holes}} if you like",
        )
        self.send_button = button("Send", icon="play", button_style="primary")
        self.stop_button = stop_button()
        self.back_button = button(
            "Take back",
            tooltip="Take the last message back into the box",
            disabled=True,
        )
        self.reset_button = button("Reset", tooltip="Begin anew", disabled=True)
        self.told = telling()
        """What a send would make, or why there can be none."""
        self.conversation = widgets.HTML()
        self._progress = widgets.HTML()
        self.code = writing("Code", height="240px")
        """The code of the experiment that is on screen."""

    def _laid_out(self) -> list[Any]:
        sending = [
            self.send_button,
            self.stop_button,
            self.back_button,
            self.reset_button,
            self.told,
        ]
        return [
            self.system,
            self.columns,
            in_a_row(self.add_button),
            self.conversation,
            self._holes,
            self.message,
            in_a_row(*sending),
            self._progress,
            folded("As code", self.code),
        ]

    def _listen(self) -> None:
        for control in (self.system, self.message):
            control.observe(self._plan, "value")
        self.add_button.on_click(lambda _: self.add_column())
        self.send_button.on_click(lambda _: self._send_message())
        self.stop_button.on_click(lambda _: self._background.stop())
        self.back_button.on_click(lambda _: self._take_back())
        self.reset_button.on_click(lambda _: self._begin_anew())

    def _remove(self, column: ColumnControls) -> None:
        with self._lock:
            if len(self.columns.children) > 1:
                left = [c for c in self.columns.children if c is not column]
                self.columns.children = left
                close_all(column)
                self._show_columns()

    def _show_columns(self) -> None:
        columns = self.columns.children
        self.add_button.disabled = len(columns) == MOST_COLUMNS
        for column in columns:
            column.remove_button.disabled = len(columns) == 1
        self._plan()

    def _show_holes(self, fields: Sequence[str]) -> None:
        """A box for each hole; what was typed into one is kept."""
        fields = fields[:MOST_FIELDS]
        if tuple(box.description for box in self._holes.children) == tuple(fields):
            return
        for name in fields:
            if name not in self.inputs:
                self.inputs[name] = box = widgets.Text(
                    description=name,
                    style={"description_width": "auto"},
                    layout=widgets.Layout(flex="1 1 260px", width="auto"),
                )
                box.observe(self._plan, "value")
        self._holes.children = [self.inputs[name] for name in fields]

    # What a send would make.

    def _next(self) -> Conversation:
        """The talk as a send would have it."""
        with self._lock:
            return replace(
                self._talk,
                columns=tuple(column.column for column in self.columns.children),
                system=self.system.value,
                inputs={name: box.value for name, box in self.inputs.items()},
            ).saying(self.message.value)

    def _plan(self, _: Any = None) -> None:
        self._latest.ask(self._next())

    def _told(self, talk: Conversation) -> PanelSummary:
        fields = None
        try:
            fields = talk.fields
            experiment = talk.experiment
            planned = experiment.plan(**self._options)
        except Exception as error:
            return PanelSummary(fields, error=error)
        return PanelSummary(fields, planned, experiment_code(experiment))

    def _tell(self, told: PanelSummary) -> None:
        with self._lock:
            if told.fields is not None:
                self._show_holes(told.fields)
            if told.plan is not None:
                self.told.value = plan_line(told.plan)
                self.code.value = told.code
            elif not self._next().said:
                self.told.value = quiet_html(BEGIN)
            else:
                self.told.value = fault_html(told.error or "")
            self._show_buttons(can_send=told.plan is not None)

    def _show_buttons(self, *, can_send: bool) -> None:
        running = self._background.running
        self.send_button.disabled = running or not can_send
        self.stop_button.disabled = not running
        self.back_button.disabled = self.reset_button.disabled = (
            running or not self._talk.said
        )

    # Sending.

    def _send_message(self) -> None:
        with self._lock:
            talk = self._next()
            if self._background.start(lambda: talk.experiment, self._options):
                self._sending, self._outcomes = talk, -1
                self._progress.value = quiet_html("asking …")
                self._show_buttons(can_send=True)

    def _show_progress(self, handle: Handle) -> None:
        """Each reply is shown when it is there."""
        with self._lock:
            self._progress.value = handle._repr_html_()
            outcomes = handle.progress.done
            if outcomes > self._outcomes:
                self._outcomes = outcomes
                answers = self._heard(handle.results)
                self.conversation.value = conversation_html(self._sending, answers)

    def _heard(self, results: Results) -> list[Heard]:
        goes_on = self._sending.continues(self._talk)
        return heard(self._sending, results, self._answers if goes_on else ())

    def _take(self, results: Results) -> None:
        """Takes over what came: the message is part of the talk now."""
        with self._lock:
            if self._sending.said != self._talk.said:
                self.message.value = ""
            self._answers = self._heard(results)
            self._talk, self._results = self._sending, results
            self._progress.value = ""
            self._show_talk()

    def _show_talk(self) -> None:
        """What was said and heard so far."""
        shown = conversation_html(self._talk, self._answers) if self._talk.said else ""
        self.conversation.value = shown

    def _take_back(self) -> None:
        """The last message goes back into the box; its replies stay in the cache."""
        with self._lock:
            *said, last = self._talk.said
            self._talk = replace(self._talk, said=tuple(said))
            self._answers = [
                replace(a, replies=a.replies[: len(said)], error="", facts="")
                for a in self._answers
            ]
            self._show_talk()
            self.message.value = last
            self._plan()

    def _begin_anew(self) -> None:
        with self._lock:
            self._talk, self._answers = Conversation(columns=()), []
            self._progress.value = ""
            self._show_talk()
            self._plan()

    def _show_failure(self, error: Exception) -> None:
        with self._lock:
            self._progress.value = fault_html(error)
            self._show_talk()

    # How it is seen elsewhere.

    def __repr__(self) -> str:
        names = ", ".join(column.column.name for column in self.columns.children)
        return f"Playground({names})"

    def _repr_html_(self) -> str:
        """What a saved notebook shows: the talk so far."""
        shown = conversation_html(self._talk, self._answers) if self._talk.said else ""
        return f"{shown}<p>To talk, run this cell in a notebook.</p>"


class ColumnControls(widgets.VBox):  # type: ignore[misc]
    """The controls of one column."""

    def __init__(self, model: str, suggested: Sequence[str]) -> None:
        self.model = widgets.Combobox(
            value=model,
            options=tuple(suggested),
            placeholder="model",
            tooltip="Model of this column",
            ensure_option=False,
            layout=widgets.Layout(flex="1 1 auto", width="auto"),
        )
        small = widgets.Layout(flex="1 1 60px", width="auto")
        self.temperature, self.max_tokens = (
            widgets.Text(placeholder=name, tooltip=name, layout=small)
            for name in ("temperature", "max_tokens")
        )
        self.remove_button = widgets.Button(
            icon="times", tooltip="Remove this column", layout={"width": "32px"}
        )
        super().__init__(
            [
                widgets.HBox([self.model, self.remove_button]),
                widgets.HBox([self.temperature, self.max_tokens]),
            ],
            layout=widgets.Layout(flex="1 1 200px"),
        )
        self.add_class("plp-side")

    @property
    def column(self) -> Column:
        """What they say."""
        return Column(self.model.value, self.temperature.value, self.max_tokens.value)

    def listen(self, changed: Any, removed: Any) -> None:
        """Calls one when a setting changes, the other when the column is to go."""
        for control in (self.model, self.temperature, self.max_tokens):
            control.observe(changed, "value")
        self.remove_button.on_click(lambda _: removed(self))
