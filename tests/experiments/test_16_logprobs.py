"""16, openai/openai-cookbook Using_logprobs.ipynb: how sure is a classification?

Whole: `results.logprobs` has every token with the likeliest in its place.
"""

from __future__ import annotations

import numpy as np
import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, last_text

from .fakes import with_logprobs


def classified(request: pl.Request) -> object:
    if "orchestra" in last_text(request):
        return with_logprobs({"Art": 0.6, "Sport": 0.4})
    return with_logprobs({"Sport": 0.9, "Art": 0.1})


def test_16_logprobs() -> None:
    client = FakeClient(classified)

    # experiment
    results = pl.Experiment(
        "sure",
        dataset=[
            {"headline": "A runner conducts the orchestra", "expected": "Sport"},
            {"headline": "The cup goes north", "expected": "Sport"},
        ],
        grid=pl.Grid(
            model=["small"],
            temperature=[0],
            logprobs=[True],
            top_logprobs=[2],
            prompt=["Sport, Art or Technology? One word.\n{{headline}}"],
        ),
        scorers=[scorers.exact(), scorers.perplexity()],
    ).run(client=client, progress=False)
    first = results.logprobs.query("position == 0")
    sure = np.exp(first["logprob"])
    second = first["top"].map(lambda top: list(top)[1])
    # experiment: end

    assert sure.tolist() == pytest.approx([0.6, 0.9])
    assert second.tolist() == ["Sport", "Art"]
    assert [record.logprobs[0].token for record in results] == ["Art", "Sport"]
    assert results.table["exact"].tolist() == [0, 1]
    assert results.table["perplexity"].tolist() == pytest.approx([1 / 0.6, 1 / 0.9])
