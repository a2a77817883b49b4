"""The playground: one conversation with a few models or settings, side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Unpack, cast

import ipywidgets as widgets

from promptlab.errors import SpecError
from promptlab.execution.engine import Engine
from promptlab.execution.loop import background_loop
from promptlab.execution.options import RunOptions, RunOptionsDict, with_run_options
from promptlab.notebook.panel.conversation import (
    NAME,
    ColumnReplies,
    Conversation,
    ModelSettings,
    ask_columns,
    conversation_html,
)
from promptlab.notebook.panel.run_panel import Chosen, PanelSummary, RunPanel
from promptlab.notebook.widgets.controls import (
    button,
    close_all,
    folded,
    in_a_row,
    quiet_html,
    writing,
)
from promptlab.results.results import Results
from promptlab.secret import sealed

MOST_COLUMNS = 4
MOST_FIELDS = 12
"""Fields that get a box each."""

BEGIN = "Write a message to begin."

REPORT_EVERY_S = 0.2

OFFLINE = ("offline/small", "offline/large")
"""Models that are suggested beside the given ones."""


@with_run_options
def playground(
    models: Sequence[str] | str = ("offline/small",),
    *,
    system: str = "",
    prompt: str = "",
    **options: Unpack[RunOptionsDict],
) -> Playground:
    """Opens a conversation with one to four models or settings side by side.

    Each `{{field}}` of a message gets a box. What was answered once is never paid for
    again. `.experiment` is the conversation as an experiment, and its code is under "As
    code"; `.results` are its results, from the cache.

    Args:
        models: One to four models, a column each.
        system: The system message at first.
        prompt: The message at first.
        options: Those of `Experiment.run`.

    Raises:
        SpecError: there is no model, or there are more than four.

    Example:
        >>> playground(["offline/small", "offline/large"], prompt="Hello {{name}}")
        Playground(offline/small, offline/large)
    """
    given = sealed(options)
    RunOptions(**given)  # a wrong one is refused now, not by the button
    names = [models] if isinstance(models, str) else models
    if not isinstance(names, Iterable) or not all(isinstance(n, str) for n in names):
        kind = type(models).__name__
        hint = "; pl.panel takes an experiment" if kind == "Experiment" else ""
        raise SpecError(f"playground: expected names of models, got {kind}{hint}")
    names = list(names)
    if not 1 <= len(names) <= MOST_COLUMNS:
        raise SpecError(
            f"playground: expected 1 to {MOST_COLUMNS} models, got {len(names)}"
        )
    return Playground(names, system, prompt, given)


class Playground(RunPanel):
    """A conversation and its controls: `experiment` is what a send would ask, `results`
    are what was answered."""

    def __init__(
        self,
        models: Sequence[str],
        system: str,
        prompt: str,
        options: Mapping[str, Any],
    ) -> None:
        super().__init__(options, "Send")
        self._models = tuple(dict.fromkeys([*models, *OFFLINE]))
        self._conversation = Conversation(columns=())
        self._answers: list[ColumnReplies] = []
        self._coming = self._answers
        self._make_controls(system, prompt)
        self.children = (*self.children, *self._laid_out())
        for model in models:
            self.add_column(model)
        self._listen()
        self._plan()

    @property
    def results(self) -> Results | None:
        """The conversation's replies as results, from the cache; None before the first.

        Raises:
            SpecError: it cannot be run as it is.
        """
        if not self._conversation.messages:
            return None
        reading = dict.fromkeys(("refresh", "progress", "record"), False)
        options = {**self._options, **reading, "offline": True}
        return self._conversation.experiment.run(**options)

    def add_column(self, model: str = "") -> None:
        """Adds a column for a model, unless there are four."""
        with self._lock:
            if len(self.columns.children) < MOST_COLUMNS:
                column = ColumnControls(model or self._models[0], self._models)
                column.listen(self._plan, self._remove)
                self.columns.children = (*self.columns.children, column)
                self._show_columns()

    # The controls.

    def _make_controls(self, system: str, prompt: str) -> None:
        hint = "System message (none)"
        self.system = writing("System message", system, height="44px", placeholder=hint)
        self.columns = widgets.HBox().add_class("plp-sides")
        self.add_button = button("Add a column", icon="plus")
        self.inputs: dict[str, Any] = {}
        """By field, the box of its value."""
        self._fields = in_a_row()
        hint = "Message, with {{fields}} if you like"
        self.message = writing("Message", prompt, height="72px", placeholder=hint)
        undo = "Take the last message back into the box"
        self.back_button = button("Undo", tooltip=undo, disabled=True)
        self.reset_button = button("Reset", tooltip="Start over", disabled=True)
        self.conversation = widgets.HTML()

    def _laid_out(self) -> list[Any]:
        buttons = self.run_button, self.stop_button, self.back_button, self.reset_button
        return [
            self.system,
            self.columns,
            in_a_row(self.add_button),
            self.conversation,
            self._fields,
            self.message,
            in_a_row(*buttons, self.summary),
            self._progress,
            folded("As code", self.code),
        ]

    def _listen(self) -> None:
        for control in (self.system, self.message):
            control.observe(self._plan, "value")
        self.add_button.on_click(lambda _: self.add_column())
        self.back_button.on_click(lambda _: self._take_back())
        self.reset_button.on_click(lambda _: self._start_over())

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

    def _show_fields(self, fields: Sequence[str]) -> None:
        """A box for each field; what was typed into one is kept."""
        fields = fields[:MOST_FIELDS]
        if tuple(box.description for box in self._fields.children) == tuple(fields):
            return
        for name in fields:
            if name not in self.inputs:
                self.inputs[name] = box = widgets.Text(
                    description=name,
                    style={"description_width": "auto"},
                    layout=widgets.Layout(flex="1 1 260px", width="auto"),
                )
                box.observe(self._plan, "value")
        self._fields.children = [self.inputs[name] for name in fields]

    # What a send would make.

    def _chosen(self) -> Conversation:
        """The conversation as a send would have it."""
        with self._lock:
            return replace(
                self._conversation,
                columns=tuple(column.column for column in self.columns.children),
                system=self.system.value,
                inputs={name: box.value for name, box in self.inputs.items()},
            ).with_message(self.message.value)

    def _show_summary(self, summary: PanelSummary) -> None:
        with self._lock:
            with suppress(Exception):  # what is not a template has no fields
                self._show_fields(cast(Conversation, summary.chosen).fields)
            super()._show_summary(summary)
            if not self._chosen().messages:
                self.summary.value = quiet_html(BEGIN)

    def _show_buttons(self, *, can_run: bool) -> None:
        super()._show_buttons(can_run=can_run)
        self.back_button.disabled = self.reset_button.disabled = (
            self._running or not self._conversation.messages
        )

    # Sending.

    def _ask(self, chosen: Chosen) -> None:
        """Asks what is missing of the conversation; what was sent becomes a part of it
        when all replies have come, or failed."""
        sent = cast(Conversation, chosen)
        try:
            asyncio.run(self._converse(sent))
        except Exception:
            self._show_conversation()
            raise
        with self._lock:
            if sent.messages != self._conversation.messages:
                self.message.value = ""
            self._conversation, self._answers = sent, self._coming
            self._progress.value = ""
            self._show_conversation()

    async def _converse(self, sent: Conversation) -> None:
        async with Engine(NAME, **self._options) as engine:
            loop = background_loop().loop
            self._may_stop(lambda: loop.call_soon_threadsafe(engine.cancel))
            reporter = asyncio.create_task(self._report(engine))
            try:
                await ask_columns(
                    sent, engine, lambda now: self._show_replies(sent, now)
                )
            finally:
                reporter.cancel()

    async def _report(self, engine: Engine) -> None:
        """Shows what the calls wait for, as long as they are asked."""
        while True:
            waiting = engine.waiting(time.monotonic())
            with self._lock:
                self._progress.value = quiet_html(waiting) if waiting else ""
            await asyncio.sleep(REPORT_EVERY_S)

    def _show_replies(self, sent: Conversation, now: list[ColumnReplies]) -> None:
        with self._lock:
            self._coming = now
            self.conversation.value = conversation_html(sent, now)

    def _show_conversation(self) -> None:
        self.conversation.value = self._conversation_html()

    def _conversation_html(self) -> str:
        if not self._conversation.messages:
            return ""
        return conversation_html(self._conversation, self._answers)

    def _take_back(self) -> None:
        """The last message goes back into the box; its replies stay in the cache."""
        with self._lock:
            *messages, last = self._conversation.messages
            self._conversation = replace(self._conversation, messages=tuple(messages))
            self._answers = [
                replace(a, replies=a.replies[: len(messages)], error="", facts="")
                for a in self._answers
            ]
            self._show_conversation()
            self.message.value = last
            self._plan()

    def _start_over(self) -> None:
        with self._lock:
            self._conversation, self._answers = Conversation(columns=()), []
            self._progress.value = ""
            self._show_conversation()
            self._plan()

    # How it is seen elsewhere.

    def __repr__(self) -> str:
        names = ", ".join(column.column.name for column in self.columns.children)
        return f"Playground({names})"

    def _repr_html_(self) -> str:
        return (
            f"{self._conversation_html()}<p>To talk, run this cell in a notebook.</p>"
        )


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
    def column(self) -> ModelSettings:
        """The model and settings as they were typed."""
        return ModelSettings(
            self.model.value, self.temperature.value, self.max_tokens.value
        )

    def listen(self, changed: Any, removed: Any) -> None:
        """Calls one when a setting changes, the other when the column is to go."""
        for control in (self.model, self.temperature, self.max_tokens):
            control.observe(changed, "value")
        self.remove_button.on_click(lambda _: removed(self))
