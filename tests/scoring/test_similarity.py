"""similar: outputs against what is expected, by the cosine of their embeddings."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.errors import CallError, Failure
from promptlab.models.replies import read_reply
from promptlab.testing import response

VECTORS = {"Paris": [1.0, 0.0], "paris": [3.0, 4.0], "London": [0.0, 2.0]}
PRICES = {name: {"input": 1.0, "output": 1.0} for name in ("m", "e")}


class Model:
    """Says what it is asked, and embeds by a table."""

    base_url = "http://127.0.0.1:9/v1"

    def __init__(self, fails: bool = False) -> None:
        self.embedded: list[str] = []
        self._fails = fails

    async def complete(self, request: pl.Request) -> pl.Response:
        if request.endpoint != "/embeddings":
            return response(request.body["messages"][-1]["content"])
        if self._fails:
            raise CallError(Failure(kind="bad", message="no such model", status=404))
        self.embedded += request.body["input"]
        rows = [{"embedding": VECTORS[text]} for text in request.body["input"]]
        body = {"data": rows, "usage": {"prompt_tokens": len(rows)}}
        return read_reply(200, {}, orjson.dumps(body), 0.01, request.endpoint)

    async def close(self) -> None:
        """There is nothing to close."""


def capitals(*scorer: Any) -> pl.Experiment:
    return pl.Experiment(
        "capitals",
        grid={"model": ["m"], "prompt": ["{{said}}"], "max_tokens": [5]},
        dataset=[
            {"said": "Paris", "expected": "Paris"},
            {"said": "paris", "expected": "Paris"},
            {"said": "London", "expected": "Paris"},
            {"said": "London", "expected": None},
        ],
        scorers=list(scorer),
    )


def test_the_score_is_the_cosine_and_missing_where_nothing_is_expected() -> None:
    results = capitals(scorers.similar(model="e", threshold=0.5)).run(client=Model())

    assert results.table["similar"].tolist()[:3] == pytest.approx([1, 0.6, 0])
    assert math.isnan(results.table["similar"][3])
    assert "no 'expected'" in results.table["similar_explanation"][3]


def test_each_text_is_embedded_once_and_never_twice_on_disk() -> None:
    client = Model()
    results = capitals("exact").run(client=client)

    results.score(scorers.similar(model="e"), client=client)
    again = results.score(scorers.similar(model="e"), client=client, offline=True)

    assert sorted(client.embedded) == ["London", "Paris", "paris"]
    assert again.table["similar"].notna().sum() == 3


def test_a_config_names_it_and_a_value_stands_in_for_a_column() -> None:
    written = {"similar": {"value": "Paris", "model": "e", "name": "near"}}

    results = capitals(written).run(client=Model())

    assert results.table["near"].tolist() == pytest.approx([1, 0.6, 0, 0])


def test_a_check_that_combines_it_asks_too() -> None:
    both = scorers.all_of(scorers.similar(model="e", threshold=0.5), scorers.exact())

    assert both.embeds == ("e",)
    assert capitals(both).run(client=Model()).table["all_of"][0]


def test_a_model_that_fails_leaves_the_scores_missing_with_the_reason() -> None:
    results = capitals(scorers.similar(model="e")).run(client=Model(fails=True))

    assert results.status == "complete"
    assert results.table["similar"].isna().all()
    assert "no such model" in results.table["similar_explanation"][0]


def test_a_budget_without_a_price_is_refused_before_the_first_call() -> None:
    client = Model()
    client.base_url = "https://api.example.org/v1"

    with pytest.raises(pl.SpecError, match="no price is known for 'e'"):
        capitals(scorers.similar(model="e")).run(
            client=client, budget_usd=1, prices={"m": PRICES["m"]}
        )

    with pytest.raises(LookupError):
        pl.find_run()


def test_what_it_costs_is_counted_with_the_run() -> None:
    with_it = capitals(scorers.similar(model="e")).run(client=Model(), prices=PRICES)

    spent = pl.usage(by="model").set_index("model")["cost_usd"]
    assert spent["e"] == pytest.approx(3e-6)
    assert with_it.totals.billed_usd == pytest.approx(spent.sum())


def test_a_plan_says_how_many_texts_may_be_embedded() -> None:
    plan = capitals(scorers.similar(model="e")).plan(client=Model())

    assert any("8 texts embedded by e" in note for note in plan.notes)
