"""Latency, as a share of trials within a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from promptlab.notebook.plots import plot_latency
from tests.notebook.plots.tables import axes_of, texts, trials


def line(figure: Any, label: str) -> Any:
    (found,) = [x for x in axes_of(figure).lines if x.get_label() == label]
    return found


def test_each_line_rises_from_none_to_all() -> None:
    figure = plot_latency(trials(latency_s=[0.3, 0.1, 0.2, 0.4]))

    plain = line(figure, "plain")
    assert plain.get_xdata().tolist() == [0.1, 0.1, 0.3]
    assert plain.get_ydata().tolist() == [0, 0.5, 1]
    assert line(figure, "steps").get_ydata()[-1] == 1


def test_median_and_p95_are_in_the_table_and_on_the_line() -> None:
    times = np.linspace(0.01, 1, 100)
    figure = plot_latency(trials(["a"] * 100, latency_s=times), "prompt")

    median, p95 = figure.table.loc["a", ["median_s", "p95_s"]]
    assert median == pytest.approx(0.505)
    assert p95 == pytest.approx(0.955)
    marks = [x for x in axes_of(figure).lines if x.get_marker() == "o"]
    assert marks[0].get_xdata().tolist() == [median, p95]
    assert marks[0].get_ydata().tolist() == [0.5, 0.95]


def test_the_key_names_each_line_and_its_number_of_trials() -> None:
    written = texts(axes_of(plot_latency(trials(["a", "a", "b"], latency_s=0.02))))

    assert {"a", "b", "median", "p95", "n", "20 ms"} <= set(written)
    assert [text for text in written if text in ("1", "2")] == ["2", "1"]


def test_short_times_are_in_milliseconds() -> None:
    assert axes_of(plot_latency(trials())).get_xlabel() == "latency in ms"
    slow = plot_latency(trials(latency_s=3))
    assert axes_of(slow).get_xlabel() == "latency in s"


def test_times_far_apart_get_a_logarithmic_axis_that_says_so() -> None:
    ax = axes_of(plot_latency(trials(latency_s=[0.01, 0.1, 1, 10])))

    assert ax.get_xscale() == "log"
    assert ax.get_xlabel().endswith("log scale")


def test_an_unknown_latency_is_left_out_and_noted() -> None:
    figure = plot_latency(trials(latency_s=[None, 0.1, 0.2, 0.3]))

    assert figure.table["n"].tolist() == [1, 2]
    assert "Latency unknown: 1 of 4 trials, left out" in texts(axes_of(figure))


def test_no_latency_at_all_is_noted() -> None:
    figure = plot_latency(trials().drop(columns="latency_s"))

    assert "The latency of no trial is known" in texts(axes_of(figure))


def test_hits_of_the_providers_cache_are_noted_where_they_mix_with_others() -> None:
    note = (
        "2 of 4 read at least half of the prompt from the provider's cache, which is "
        "faster"
    )

    mixed = plot_latency(trials(cached_input_tokens=[0, 50, None, 100]))
    alike = plot_latency(trials(cached_input_tokens=100))

    assert note in texts(axes_of(mixed))
    assert not [text for text in texts(axes_of(alike)) if "provider" in text]
