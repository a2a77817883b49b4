"""The panel: choose a part of an experiment, see its cost, run it, compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

import ipywidgets as widgets

from promptlab.errors import PromptlabError, SpecError
from promptlab.execution.options import RunOptions, RunOptionsDict, with_run_options
from promptlab.experiment import Experiment
from promptlab.formats import shortened
from promptlab.notebook.compare.compare import compare
from promptlab.notebook.panel.code import experiment_code
from promptlab.notebook.panel.run_panel import Chosen, PanelSummary, RunPanel
from promptlab.notebook.panel.selection import (
    Selection,
    level_name,
    levels_of,
    texts_of,
)
from promptlab.notebook.widgets.controls import (
    button,
    close_all,
    fault_html,
    folded,
    in_a_row,
    writing,
)
from promptlab.render.markup import escaped
from promptlab.secret import sealed

if TYPE_CHECKING:
    from promptlab.execution.runner import Handle
    from promptlab.results.results import Results

BOXES = 10
"""The most values of a parameter that get a box each; more are in a list."""

CASES_IN_CODE = 20
"""The most cases that are written out; code with more refers to the experiment."""

LONGEST_VALUE = 40

TEXTS = (("prompt",), ("system",))
"""Where an error is that is about a text."""


@with_run_options
def panel(experiment: Experiment, **options: Unpack[RunOptionsDict]) -> Panel:
    """Opens a panel to choose, edit and run a part of an experiment.

    The calls, tokens and dollars of a run are shown before it starts, its outputs side
    by side when it is over; stopping keeps those that came.

    Args:
        experiment: The experiment to choose values, cases and repeats from.
        options: Those of `Experiment.run`.

    Example:
        >>> import promptlab as pl
        >>> dataset = [{"city": "Paris"}]
        >>> grid = pl.Grid(model=["offline/small"], prompt=["Where is {{city}}?"])
        >>> panel(pl.Experiment("capitals", grid=grid, dataset=dataset))
        Panel('capitals')
    """
    given = sealed(options)
    if not isinstance(experiment, Experiment):
        kind = type(experiment).__name__
        hint = "; pl.compare shows results" if kind == "Results" else ""
        raise SpecError(f"panel: expected an Experiment, got {kind}{hint}")
    RunOptions(**given)  # a wrong one is refused now, not by the button
    return Panel(experiment, given)


class Panel(RunPanel):
    """The controls of an experiment: `experiment` is what is chosen of it, `results`
    are those of the last run."""

    def __init__(self, experiment: Experiment, options: Mapping[str, Any]) -> None:
        super().__init__(options, "Run")
        self._handle: Handle | None = None
        self._results: Results | None = None
        self._selection = Selection.all_of(experiment)
        self._make_controls()
        self.children = (*self.children, *self._laid_out())
        self._show_values()
        self._show_text()
        self._listen()
        self._plan()

    @property
    def results(self) -> Results | None:
        """The results of the last run; None before."""
        return self._results

    # The controls.

    def _make_controls(self) -> None:
        source = self._selection.source
        cases = len(source.dataset)
        narrow = widgets.Layout(width="280px")
        self.values: dict[str, Any] = {}
        """The controls of each parameter: a box for each value, or one list."""
        self.cases = widgets.IntSlider(
            *(cases, 1, max(cases, 1)),
            disabled=cases == 1,
            tooltip="How many cases, from the first",
            layout=narrow,
        )
        self.repeats = widgets.BoundedIntText(
            source.repeats,
            min=1,
            max=max(100, source.repeats),
            tooltip="How often each case is asked",
            layout=widgets.Layout(width="64px"),
        )
        self.text = widgets.Dropdown(
            tooltip="Which text is edited", layout=widgets.Layout(flex="1 1 160px")
        )
        """The text that is edited."""
        self.editor = writing("Text", height="132px")
        self.restore_button = button("Restore", tooltip="Undo the changes of this text")
        self.keep_button = button(
            "Keep both", tooltip="Make the changed text a value of its own"
        )
        self._fault = widgets.HTML()
        self._boxes = widgets.VBox()
        self._below = widgets.VBox()

    def _laid_out(self) -> list[Any]:
        source = self._selection.source
        size = widgets.VBox(
            [_line("cases", self.cases), _line("repeats", self.repeats)]
        )
        left = widgets.VBox([self._boxes, size], layout=_flex("1 1 340px"))
        top = in_a_row(self.text, self.restore_button, self.keep_button)
        right = widgets.VBox([top, self.editor, self._fault], layout=_flex("1 1 400px"))
        return [
            widgets.HTML(f"<b>{escaped(source.name)}</b>"),
            widgets.HBox([left, right]).add_class("plp-columns"),
            in_a_row(self.run_button, self.stop_button, self.summary).add_class(
                "plp-plan"
            ),
            self._progress,
            folded("As code", self.code),
            self._below,
        ]

    def _listen(self) -> None:
        self.cases.observe(self._changed, "value")
        self.repeats.observe(self._changed, "value")
        self.text.observe(lambda _: self._show_text(), "value")
        self.editor.observe(self._typed, "value")
        self.restore_button.on_click(lambda _: self._restore())
        self.keep_button.on_click(lambda _: self._keep_both())

    def _show_values(self) -> None:
        """Shows the values of each parameter, and the texts to edit."""
        source, before = self._selection.source, self._boxes.children
        lines = []
        for name in source.grid.parameters:
            names = [
                shortened(level_name(name, level), LONGEST_VALUE)
                for level in levels_of(source, name)
            ]
            chosen = self._selection.values[name]
            self.values[name] = control = _values(name, names, chosen)
            boxes = control if isinstance(control, list) else [control]
            for box in boxes if len(names) > 1 else ():
                box.observe(self._changed, "value")
            lines.append(_line(name, *boxes))
        self._boxes.children = lines
        close_all(*before)
        texts = texts_of(source)
        self.text.options = [(text.name, text) for text in texts]
        self.text.value = texts[0]

    # What the user does.

    def _changed(self, _: Any = None) -> None:
        with self._lock:
            self._selection = replace(
                self._selection,
                values={name: tuple(self._indices(name)) for name in self.values},
                cases=self.cases.value,
                repeats=self.repeats.value,
            )
            self._plan()

    def _indices(self, name: str) -> Iterator[int]:
        control = self.values[name]
        if isinstance(control, list):
            yield from (index for index, box in enumerate(control) if box.value)
        else:
            yield from sorted(control.value)

    def _typed(self, _: Any) -> None:
        with self._lock:
            text, content = self.text.value, self.editor.value
            if text is None or content == self._selection.content(text):
                return  # it was put there by us
            self._selection = self._selection.edited(text, content)
            self._show_edited()
            self._plan()

    def _show_text(self) -> None:
        with self._lock:
            if (text := self.text.value) is not None:
                self.editor.value = self._selection.content(text)
                self._show_edited()

    def _show_edited(self) -> None:
        text = self.text.value
        edited = text in self._selection.edits
        self.restore_button.disabled = not edited
        self.keep_button.disabled = not (edited and self._selection.can_add(text))

    def _restore(self) -> None:
        with self._lock:
            text = self.text.value
            self._selection = self._selection.edited(text, text.content)
            self._show_text()
            self._plan()

    def _keep_both(self) -> None:
        with self._lock:
            text = self.text.value
            try:
                self._selection = self._selection.with_added(text)
            except SpecError as error:
                self._fault.value = fault_html(error)
                return
            self._show_values()
            texts = texts_of(self._selection.source)
            self.text.value = [t for t in texts if t.parameter == text.parameter][-1]
            self._show_text()
            self._plan()

    # What a run would make, and what it gave.

    def _chosen(self) -> Selection:
        return self._selection

    def _code(self, experiment: Experiment) -> str:
        """The code of an experiment; many cases are taken from the one at hand."""
        cases, all_cases = len(experiment.dataset), len(self._selection.source.dataset)
        if cases <= CASES_IN_CODE:
            return experiment_code(experiment)
        part = "" if cases == all_cases else f"[:{cases}]"
        code = experiment_code(experiment, dataset=f"experiment.dataset{part}")
        return f"# its cases are those of the experiment at hand\n{code}"

    def _show_summary(self, summary: PanelSummary) -> None:
        with self._lock:
            error = summary.error
            of_text = isinstance(error, SpecError) and error.at[:1] in TEXTS
            self._fault.value = fault_html(error) if error and of_text else ""
            super()._show_summary(summary)
            if of_text:
                self.summary.value = fault_html("see the message beside the text")

    def _ask(self, chosen: Chosen) -> None:
        self._handle = None
        options = {**self._options, "progress": self._show_progress}
        self._handle = handle = chosen.experiment.start(**options)
        self._may_stop(handle.cancel)
        results = handle.result()
        self._show_progress()
        self._results = results
        try:
            shown = compare(results) if len(results) else widgets.HTML("no answers")
        except PromptlabError as error:
            shown = widgets.HTML(fault_html(error))
        with self._lock:
            before = self._below.children
            self._below.children = [shown]
            close_all(*before)

    def _show_progress(self, _: Any = None) -> None:
        with self._lock:
            if self._handle is not None:
                self._progress.value = self._handle._repr_html_()

    # How it is seen elsewhere.

    def __repr__(self) -> str:
        return f"Panel({self._selection.source.name!r})"

    def _repr_html_(self) -> str:
        try:
            shown = self.experiment._repr_html_()
        except SpecError:
            shown = self._selection.source._repr_html_()
        return f"{shown}<p>To choose and run, run this cell in a notebook.</p>"


def _values(parameter: str, names: list[str], chosen: tuple[int, ...]) -> Any:
    """Boxes for values, a list for many of them, a label for a single one."""
    if len(names) == 1:
        return [widgets.Label(names[0])]
    if len(names) > BOXES:
        return widgets.SelectMultiple(
            options=[(name, index) for index, name in enumerate(names)],
            value=chosen,
            rows=6,
            tooltip=parameter,
            layout=widgets.Layout(width="280px"),
        )
    return [
        widgets.Checkbox(index in chosen, description=name, indent=False)
        for index, name in enumerate(names)
    ]


def _line(name: str, *controls: Any) -> Any:
    label = widgets.Label(shortened(name, LONGEST_VALUE)).add_class("plp-name")
    values = widgets.HBox(controls).add_class("plp-values")
    return widgets.HBox([label, values]).add_class("plp-line")


def _flex(flex: str) -> Any:
    return widgets.Layout(flex=flex)
