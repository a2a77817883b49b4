"""Usage over time."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import num2date

import promptlab as pl
from promptlab.notebook.plots import plot_usage
from tests.notebook.plots.tables import HOSTILE, axes_of, bars, own_axes, texts
from tests.results.making import experiment, results

DAYS = ["2026-11-23", "2026-11-23", "2026-11-24"]


def usage(**columns: Any) -> pd.DataFrame:
    usual = {
        "day": DAYS,
        "model": ["small", "large", "small"],
        "requests": [10, 20, 30],
        "errors": [0, 1, 0],
        "input_tokens": [100, 200, 300],
        "output_tokens": [1, 2, 3],
        "cost_usd": [0.1, 0.4, 0.3],
    }
    table = pd.DataFrame(usual | columns)
    return table.dropna(axis="columns", how="all")


def heights(figure: Any, label: str) -> list[float]:
    return [bar.get_height() for bar in bars(axes_of(figure), label)]


def test_bars_are_as_high_as_what_was_used() -> None:
    figure = plot_usage(usage())

    assert heights(figure, "small") == [0.1, 0.3]
    assert heights(figure, "large") == [0.4, 0]
    assert figure.table["small"].tolist() == [0.1, 0.3]
    assert figure.table.columns.name == "model"


def test_models_are_stacked() -> None:
    figure = plot_usage(usage())

    assert [bar.get_y() for bar in bars(axes_of(figure), "large")] == [0.1, 0.3]


def test_bars_stand_at_their_day() -> None:
    figure = plot_usage(usage())

    middles = [b.get_x() + b.get_width() / 2 for b in bars(axes_of(figure), "small")]
    assert [num2date(x).date().isoformat() for x in middles] == [
        "2026-11-23",
        "2026-11-24",
    ]


@pytest.mark.parametrize(
    ("columns", "measure", "expected"),
    [
        ({}, "Cost per day by model", 0.1),
        ({"cost_usd": [0.1, None, 0.3]}, "Tokens per day by model", 101),
        ({"cost_usd": None, "output_tokens": None}, "Requests per day by model", 10),
    ],
    ids=["cost", "a price is unknown", "no tokens"],
)
def test_the_measure_is_the_most_telling_one_that_is_known(
    columns: dict[str, Any], measure: str, expected: float
) -> None:
    figure = plot_usage(usage(**columns))

    assert figure.title == measure
    assert heights(figure, "small")[0] == expected


def test_any_numbers_can_be_the_measure() -> None:
    figure = plot_usage(usage(), measure="errors")

    assert figure.title == "Errors per day by model"
    assert heights(figure, "large") == [1, 0]


def test_unknown_costs_are_left_out_and_noted() -> None:
    figure = plot_usage(usage(cost_usd=[0.1, None, 0.3]), measure="cost_usd")

    assert "1 of 3 rows have no cost_usd: left out" in texts(axes_of(figure))
    assert heights(figure, "small") == [0.1, 0.3]


def test_the_key_tells_sums_requests_and_errors() -> None:
    written = texts(axes_of(plot_usage(usage())))

    assert {"small", "large", "total", "$0.400", "requests", "40", "errors"} <= set(
        written
    )


def test_without_a_model_there_is_one_bar_a_day() -> None:
    figure = plot_usage(usage(model=None))

    assert figure.title == "Cost per day"
    assert heights(figure, "all") == [0.5, pytest.approx(0.3)]


def test_it_can_be_stacked_by_other_columns() -> None:
    figure = plot_usage(usage(project=["a", "a", "b"]), by=["project", "model"])

    assert list(figure.table) == [("a", "small"), ("a", "large"), ("b", "small")]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("day", [datetime.date(2026, 11, 23)] * 2 + [datetime.date(2026, 11, 24)]),
        ("hour", ["2026-11-23T10:00", "2026-11-23T10:00", "2026-11-23T11:00"]),
        ("month", ["2026-10", "2026-10", "2026-11"]),
        ("month", pd.PeriodIndex(["2026-10", "2026-10", "2026-11"], freq="M")),
        ("when", pd.to_datetime(DAYS, utc=True)),
        ("time", ["2026-11-23T10:00+01:00", "2026-11-23T09:00Z", "2026-11-24"]),
    ],
    ids=["dates", "hours", "months", "periods", "zoned", "mixed zones"],
)
def test_times_come_in_many_forms(name: str, values: Any) -> None:
    figure = plot_usage(usage(**{"day": None, name: values}))

    assert len(figure.table) == 2
    assert figure.table.index.name == name
    figure._repr_png_()


def test_many_days_are_drawn() -> None:
    days = pd.date_range("2026-01-01", periods=200)
    table = pd.DataFrame({"day": days, "requests": range(200)})

    figure = plot_usage(table)

    assert len(heights(figure, "all")) == 200
    assert len(axes_of(figure).get_xticks()) < 12
    figure._repr_png_()


def test_a_row_without_a_time_is_left_out_and_noted() -> None:
    figure = plot_usage(usage(day=["2026-11-23", None, "2026-11-24"]))

    assert "1 of 3 rows have no day: left out" in texts(axes_of(figure))


def test_a_cost_that_is_known_in_part_is_not_drawn_and_that_is_noted() -> None:
    part = usage(cost_usd=[0.2, None, 0.3])

    note = "The cost of 1 of 3 rows is not known"
    assert any(note in line for line in texts(axes_of(plot_usage(part))))
    assert not any(
        "cost" in t for t in texts(axes_of(plot_usage(part, measure="tokens")))
    )


def test_nothing_used_is_noted() -> None:
    figure = plot_usage(usage().iloc[:0])

    assert "Nothing was used" in texts(axes_of(figure))


def test_given_axes_are_drawn_on_and_returned() -> None:
    ax = own_axes()

    assert plot_usage(usage(), ax=ax) is ax
    assert len(ax.containers) == 2


def test_hostile_models_are_written_as_they_are() -> None:
    n = len(HOSTILE)
    table = pd.DataFrame({"day": ["2026-11-23"] * n, "model": HOSTILE, "requests": 1})

    figure = plot_usage(table)

    figure._repr_png_()  # a warning would be an error
    assert "$x^2$" in texts(axes_of(figure))


def test_an_index_of_the_readers_own_does_not_matter() -> None:
    table = usage()
    table.index = pd.Index([5, 5, 7])

    assert heights(plot_usage(table), "small") == [0.1, 0.3]


@pytest.mark.parametrize(
    ("table", "arguments", "message"),
    [
        (usage(day=None), {}, "no column of dates or times; name it hour, day"),
        (usage(day=["a", "b", "c"]), {}, "no column of dates or times"),
        (usage(day=[1, 2, 3]), {}, "no column of dates or times"),
        (usage(), {"by": "modle"}, "by: the table has no column 'modle'; did you mean"),
        (
            usage(),
            {"measure": "request"},
            "no numbers 'request'; did you mean 'requests'",
        ),
        (usage(), {"measure": "model"}, "no numbers 'model'"),
        ([], {}, "expected a DataFrame .* got list"),
        (results(experiment()), {}, "expected a DataFrame .* got Results"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    table: Any, arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(pl.SpecError, match=message):
        plot_usage(table, **arguments)


def test_bars_do_not_touch_a_single_bar_is_no_wall() -> None:
    figure = plot_usage(usage().iloc[:1])

    ax = axes_of(figure)
    left, right = ax.get_xlim()
    (bar,) = bars(ax, "small")
    assert bar.get_width() < 0.2 * (right - left)
    assert np.isclose(bar.get_x() + bar.get_width() / 2, (left + right) / 2)


@pytest.mark.parametrize(
    ("period", "time", "date"),
    [
        ("day", "2026-11-04", "4 Nov 2026"),
        ("month", "2026-11-01", "Nov 2026"),
        ("hour", "2026-11-24 08:00", "24 Nov 2026, 08:00"),
    ],
)
def test_a_single_bar_has_its_whole_date(period: str, time: str, date: str) -> None:
    figure = plot_usage(pd.DataFrame({period: [time], "requests": [3]}))

    labels = axes_of(figure).get_xticklabels()

    assert [label.get_text() for label in labels] == [date]
