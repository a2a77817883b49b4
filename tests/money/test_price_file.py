"""The file of own prices: where it is read from, and what is told of a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import promptlab as pl
from promptlab.errors import ConfigError
from promptlab.money.prices import prices_in_force, read_prices

TABLE = """\
# US dollars for a million tokens
[[price]]
model = "gpt-6*"
input = 2
output = 10
cached_input = 0.2
cache_write = 2.5
long_from = 272_000
long = { input = 4, output = 15 }
flex = { input = 1, output = 5 }

[price.batch]
input = 0.9
output = 4.5

[[price]]
model = "gpt-6*"
valid_from = 2026-12-01
input = 1.5
output = 8
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a file into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes, name: str = "prices.toml") -> Path:
        content = text.encode() if isinstance(text, str) else text
        Path(name).write_bytes(content)
        return Path(name)

    return write


def test_a_file_holds_one_line_after_the_other(write: Write) -> None:
    old, new = read_prices(write(TABLE)).own

    assert (old.model, old.valid_from, old.price.source) == (
        "gpt-6*",
        None,
        "prices.toml",
    )
    assert (old.price.input, old.price.output) == (2, 10)
    assert (old.price.cached_input, old.price.cache_write) == (0.2, 2.5)
    assert old.price.long_from == 272_000
    assert old.price.long is not None
    assert (old.price.long.input, old.price.long.output) == (4, 15)
    assert {tier: price.input for tier, price in old.tiers.items()} == {
        "flex": 1,
        "batch": 0.9,
    }
    assert (new.valid_from, new.price.as_of) == (date(2026, 12, 1), date(2026, 12, 1))
    assert new.price.input == 1.5


def test_prices_toml_in_the_working_directory_is_used(write: Write) -> None:
    assert prices_in_force().own == ()
    write(TABLE)

    assert len(prices_in_force().own) == 2
    assert prices_in_force({}).own == ()
    assert prices_in_force(pl.Prices()).own == ()


def test_another_file_takes_its_place(write: Write) -> None:
    write(TABLE)
    path = write('[[price]]\nmodel = "m"\ninput = 1\noutput = 1\n', "other.toml")

    for given_ in (path, "other.toml"):
        assert [line.model for line in prices_in_force(given_).own] == ["m"]


def test_a_byte_order_mark_is_no_part_of_a_file(write: Write) -> None:
    assert len(read_prices(write(b"\xef\xbb\xbf" + TABLE.encode())).own) == 2


ONE = '[[price]]\nmodel = "m"\ninput = 1\noutput = 1\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[price]]\nmodel = \n", r"prices.toml: not valid TOML: .*line 2"),
        (b"\xff\xfe", "prices file prices.toml is not UTF-8 text"),
        ("a = " + "[" * 5_000, "prices.toml: not valid TOML"),
        (
            '["gpt-6*"]\ninput = 1\n',
            r"prices.toml has 'gpt-6\*'; prices stand in \[\[price\]\] tables, each "
            r"with model, input and output \(prices=\{\} uses no file\)",
        ),
        ('[price]\nmodel = "m"\n', r"price is a list of tables; write \[\[price\]\]"),
        (
            ONE + "\n[[price]]\ninput = 1\n",
            r"\[\[price\]\] from line 6: expected a model",
        ),
        ("price = " + "1" * 5_000, "prices.toml: not valid TOML: Exceeds the limit"),
        (
            ONE.replace("input = 1", "input = 1" + "0" * 400),
            "input: expected a number >= 0",
        ),
        ("[[price]]\nmodel = 3\n", 'expected a model, such as .*"gpt-6.*, got 3'),
        (
            ONE + ONE.replace("input = 1", "input = '1'"),
            "prices.toml, line 7: the price of 'm', input: expected a number >= 0, got",
        ),
        (
            ONE + "inputs = 1\n",
            "prices.toml, line 5: the price of 'm': unknown key 'inputs'; did you mean",
        ),
        (
            ONE.replace("output = 1\n", ""),
            r"prices.toml, \[\[price\]\] from line 1: the price of .m.: output is m",
        ),
        (
            ONE + "flex = {input = 1, output = 'x'}",
            "line 5: the price of 'm', flex, out",
        ),
        (
            ONE + "\n[price.batch]\ninput = 1\n",
            "line 6: the price of 'm', batch: output is missing",
        ),
        (
            ONE + "\n[price.batch]\ninput = true\noutput = 1\n",
            "line 7: the price of 'm', batch, input: expected a number >= 0, got True",
        ),
        (
            ONE.replace("input = 1", "input = nan"),
            "input: expected a number >= 0, got nan",
        ),
        (
            ONE + "valid_from = 2026-11-01T10:00:00Z\n",
            "valid_from: expected a day, such as",
        ),
        (ONE + "flex = 1\n", "line 5: the price of 'm', flex: expected a mapping"),
        (
            ONE + ONE,
            r"\[\[price\]\] from line 5: a second price of 'm' without valid_from; g",
        ),
        (
            'price = [{model = "m"}]',
            "prices.toml, price 1: the price of 'm': input and",
        ),
        ("price = [3]", "price 1: a price: expected a table with model, got 3"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_that_says_where(
    write: Write, text: str | bytes, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_prices(write(text))

    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match=r"prices file .* cannot be read: "):
            prices_in_force(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.text("[]price=.modl \n\"'{}0123456789-,inputo"))
def test_any_text_is_read_or_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_bytes(text.encode(errors="replace"))

    with suppress(ConfigError):
        assert isinstance(read_prices(path), pl.Prices)
