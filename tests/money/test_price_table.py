"""`pl.prices`: the prices in force, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import promptlab as pl
from promptlab.errors import SpecError

OWN = {"input": 1, "output": 3}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a prices.toml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(table: pd.DataFrame, model: str) -> pd.Series:
    (found,) = (r for _, r in table.iterrows() if r["model"] == model)
    return found


def test_free_variants_of_openrouter_are_listed_at_nothing() -> None:
    (row,) = pl.prices("deepseek/deepseek-r1:free", provider="openrouter").to_dict(
        "records"
    )

    assert (row["input"], row["output"]) == (0, 0)


def test_a_pattern_finds_list_prices() -> None:
    table = pl.prices("gpt-6*")

    assert list(table) == [
        *("model", "provider", "input", "cached_input", "cache_write", "output"),
        *("long_from", "source", "as_of"),
    ]
    luna = row(table, "gpt-6-luna")
    assert luna[["input", "cached_input", "cache_write", "output"]].tolist() == [
        *(0.1, 0.01, 0.125, 0.5),
    ]
    assert (luna["provider"], luna["long_from"]) == ("openai", 272_000)
    assert luna["source"].startswith("genai-prices ")
    assert pd.isna(luna["as_of"])
    assert set(table["provider"]) == {"openai"}
    assert all(model.startswith("gpt-6") for model in table["model"])


def test_without_a_pattern_it_is_all_that_openai_sells_by_the_token() -> None:
    table = pl.prices()

    assert set(table["provider"]) == {"openai"}
    assert {"gpt-6-luna", "o3"} <= set(table["model"])
    assert "whisper-1" not in set(table["model"])
    assert table[["input", "output"]].notna().all(axis=None)


def test_what_openai_does_not_have_is_looked_for_everywhere() -> None:
    everywhere = pl.prices("claude-sonnet-4-5")
    one = pl.prices("claude-sonnet-4-5", "Anthropic")

    assert len(set(everywhere["provider"])) > 1
    assert one["provider"].tolist() == ["anthropic"]


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("gpt-4.1-2025-04-14", "openai"),
        ("GPT-6-Luna", "openai"),
        ("claude-sonnet-4-5-20250929", "anthropic"),
    ],
)
def test_a_snapshot_has_the_price_of_its_model(name: str, provider: str) -> None:
    assert pl.prices(name)["provider"].tolist() == [provider]


def test_tiers_and_days_have_their_own_prices() -> None:
    flex = row(pl.prices("gpt-6-luna", tier="flex"), "gpt-6-luna")
    before = row(pl.prices("o3", day="2025-06-09"), "o3")
    after = row(pl.prices("o3", day=pd.Timestamp("2025-06-10")), "o3")

    assert (flex["input"], flex["as_of"]) == (0.05, pd.Timestamp("2026-10-12"))
    assert (before["input"], after["input"]) == (10, 2)


def test_own_prices_come_first_and_win() -> None:
    own = {"gpt-6-luna": {**OWN, "valid_from": "2026-11-01"}, "gpt-6*": OWN, "x": OWN}

    table = pl.prices("gpt-6*", prices=own, day="2026-11-24")

    assert table["model"].tolist()[:2] == ["gpt-6-luna", "gpt-6*"]
    assert table["model"].is_unique
    assert set(table["source"]) == {"own prices"}
    assert set(table["input"]) == {1}
    assert row(table, "gpt-6-luna")["as_of"] == pd.Timestamp("2026-11-01")
    assert pd.isna(row(table, "gpt-6*")["provider"])
    assert row(table, "gpt-6-sol")["provider"] == "openai"


def test_a_price_to_come_is_not_in_force_yet() -> None:
    own = {"gpt-6-luna": {**OWN, "valid_from": "2026-12-01"}}

    def luna(day: str) -> float:
        return row(pl.prices("gpt-6-luna", prices=own, day=day), "gpt-6-luna")["input"]

    assert luna("2026-11-30") == 0.1
    assert luna("2026-12-01") == 1


def test_the_file_of_the_working_directory_is_in_it(folder: Path) -> None:
    (folder / "prices.toml").write_text(
        '[[price]]\nmodel = "offline/*"\ninput = 1\noutput = 3\n'
    )

    table = pl.prices("offline/small")

    assert table[["model", "source"]].values.tolist() == [["offline/*", "prices.toml"]]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"pattern": "gpt-6-lunar"}, "'gpt-6-lunar'; did you mean 'gpt-6-luna'?"),
        (
            {"pattern": "zzzzzz"},
            "no price is known for 'zzzzzz'; give one in prices.toml or with prices=",
        ),
        (
            {"pattern": "o3", "provider": "openia"},
            "no provider 'openia'; did you mean 'openai'?",
        ),
        ({"provider": "qqqq"}, "no provider 'qqqq'; valid names: anthropic, "),
        (
            {"pattern": "gpt-4.1", "tier": "flex"},
            "no flex price is known for 'gpt-4.1'",
        ),
        (
            {"pattern": "claude-sonnet-4-5", "provider": "openai"},
            "no price is known for 'claude-sonnet-4-5' at openai",
        ),
        ({"pattern": 5}, "pattern: expected a name such as 'gpt-6*', got 5"),
        ({"pattern": None}, "pattern: expected a name such as 'gpt-6*', got None"),
        ({"provider": 5}, "provider: expected a name such as 'anthropic', got 5"),
        ({"tier": 5}, "tier: expected a name such as 'batch', got 5"),
        (
            {"pattern": "gpt-6*", "tier": "zz"},
            "no tier 'zz'; valid names: batch, flex, priority, fast, auto, default",
        ),
        (
            {"pattern": "gpt-4*", "tier": "priority", "provider": "anthropic"},
            "no priority price is known for 'gpt-4*' at anthropic; give one",
        ),
        (
            {"pattern": "m-1", "prices": {"m*": {**OWN, "valid_from": "2130-01-01"}}},
            "the price of 'm-1' is known only from 2130-01-01 on",
        ),
        ({"day": 5}, "day: expected a day such as 2026-11-01, got 5"),
        ({"day": "soon"}, "day: expected a day such as 2026-11-01, got 'soon'"),
    ],
)
def test_what_is_not_there_is_told(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        pl.prices(**asked)

    assert said in str(caught.value)
