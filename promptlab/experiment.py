"""Experiments: a definition, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptlab.secret import sealed
from promptlab.spec.card import experiment_html
from promptlab.spec.definition import Definition

if TYPE_CHECKING:
    from promptlab.execution.runner import Handle
    from promptlab.planning.forecast import Forecast
    from promptlab.planning.pilot import Pilot
    from promptlab.planning.plan import Plan
    from promptlab.results.results import Results


class Experiment(Definition):
    """A grid × a dataset × repeats: what to run. `run()` gives `Results`.

    Everything is checked here, before any call: every field that a prompt needs is
    in every case, no parameter is misspelt, no list is empty. `warnings` holds what
    is odd and yet may be meant.

    Raises:
        SpecError: it cannot be run as it is; the message says what would do.
    """

    def run(self, **options: Any) -> Results:
        """Runs it to the end and gives the results; `promptlab.run` has the options."""
        from promptlab.execution.runner import run

        return run(self, **sealed(options))

    async def arun(self, **options: Any) -> Results:
        """As `run`, for a running event loop: `await experiment.arun()`."""
        from promptlab.execution.runner import arun

        return await arun(self, **sealed(options))

    def start(self, **options: Any) -> Handle:
        """Starts it in the background: the handle tells, waits and cancels."""
        from promptlab.execution.runner import start

        return start(self, **sealed(options))

    def plan(self, **options: Any) -> Plan:
        """What a run would do: which trials are cached, new or duplicates of others."""
        from promptlab.planning.plan import plan

        return plan(self, **sealed(options))

    def forecast(self, pilot: int | Pilot = 2, **options: Any) -> Forecast:
        """What a run would cost, from `pilot` answers of each variant that it buys and
        keeps; `level` and `seed` are options too."""
        from promptlab.planning.forecast import forecast

        return forecast(self, pilot, **sealed(options))

    def _repr_html_(self) -> str:
        return experiment_html(self)
