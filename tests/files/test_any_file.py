"""Whatever is in a file, it loads, or one line says what is wrong with which file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import promptlab as pl
from promptlab.files.config import config_schema, load_config

PACKAGE = Path(pl.__file__).parent
STARTER = (PACKAGE / "starter.yaml").read_text("utf-8")
SHIPPED = sorted((PACKAGE.parent / "datasets").glob("*/experiment.yaml"))

pytestmark = pytest.mark.filterwarnings("ignore::promptlab.PromptlabWarning")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "experiment.yaml"


def loads_or_tells(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        load_config(path)
    except pl.PromptlabError as error:
        text = str(error)
        assert len(text.splitlines()) == 1, text
        # Or with one of the files beside it, in quotes where it cannot be a name.
        assert text.lstrip("'\"").startswith(str(path.parent)), text


@settings(max_examples=300)
@given(content=st.one_of(st.binary(max_size=200), st.text().map(str.encode)))
@example(content=b"\xef\xbb\xbf")
@example(content=b"\xff\xfen\x00a\x00")
@example(content=b"%YAML 1.1\n---\nname: no")
@example(content=b"%YAML 9.9\n---\nname: no")
@example(content=b"%TAG ! tag:x,2026:\n---\n!a b")
@example(content=b"!!set {a, b}")
@example(content=b"!!omap [a: 1]")
@example(content=b"!!binary aGVsbG8=")
@example(content=b"!!timestamp x")
@example(content=b"!!int x")
@example(content=b"!!float x")
@example(content=b"!!bool x")
@example(content=b"a: 2026-99-99")
@example(content=b"a: 2026-11-23 99:99:99")
@example(content=b"a: &a b\nb: &a c\nc: *a")
@example(content=b"<<: 5")
@example(content=b"<<: [5]")
@example(content=b"? {a: b}\n: c")
@example(content=b"? - a\n: c")
@example(content=b"- " * 2000)
@example(content=b"9" * 5000)
@example(content=b'"\\ud800"')
@example(content=b'{"name": "\\ud800", "dataset": [{}], "grid": {}}')
@example(content=b"a: |9\n x")
@example(content=b"a: 0x_\nb: 0o9\nc: 1e999999\nd: 0b2\ne: 1:2:3")
def test_any_bytes_load_or_are_told(fuzzed: Path, content: bytes) -> None:
    loads_or_tells(fuzzed, content)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        [
            "m",
            "{{t}}",
            "{{",
            "{{t.x}}",
            "user",
            "cases.csv",
            "a\nb.csv",
            "a\0.csv",
            "a.yaml",
        ]
    ),
)
names = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            *config_schema()["properties"],
            *config_schema()["$defs"]["RunModel"]["properties"],
            *(
                "model",
                "prompt",
                "system",
                "temperature",
                "max_tokens",
                "tools",
                "self",
            ),
            *("file", "encoding", "role", "content", "id", "expected", "t", "output"),
        ]
    ),
)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)
    ),
    max_leaves=6,
)
WHOLE: dict[str, Any] = {
    "name": "letters",
    "description": "",
    "dataset": [{"id": "1", "t": "a", "expected": "b"}, {"id": "2", "t": "b"}],
    "repeats": 2,
    "grid": {
        "model": ["m", "gpt-5"],
        "prompt": {"plain": "{{t}}", "chat": [{"role": "user", "content": "{{t}}"}]},
        "system": [None, "Be brief"],
        "tools": [[{"type": "function"}]],
    },
    "zip": [{"temperature": [0, 1], "max_tokens": [8, 9]}],
    "exclude": [{"model": "m", "temperature": 1}],
    "capabilities": {"m": {"seed": True, "max_tokens": "limit"}},
    "run": {"max_concurrency": 4, "timeout_s": 1.5, "headers": {"a": "b"}},
    "output": ["a.csv"],
}


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """A whole config, something in it replaced, added or taken away."""
    whole = json.loads(json.dumps(WHOLE))
    for _ in range(draw(st.integers(1, 3))):
        owner = whole
        while True:
            places = list(owner) if isinstance(owner, dict) else list(range(len(owner)))
            if not places:
                break
            place = draw(st.sampled_from(places))
            if isinstance(owner[place], (dict, list)) and draw(st.booleans()):
                owner = owner[place]
                continue
            owner[place] = draw(anything)
            break
        if isinstance(owner, dict) and draw(st.booleans()):
            owner[draw(names)] = draw(anything)
        elif owner and draw(st.booleans()):
            del owner[
                draw(st.sampled_from(list(owner) if isinstance(owner, dict) else [0]))
            ]
    return whole


@settings(max_examples=300)
@given(plain=st.one_of(anything, st.dictionaries(names, anything), changed()))
@example(plain={**WHOLE, "grid": {**WHOLE["grid"], "self": [1]}})
@example(plain={**WHOLE, "grid": {**WHOLE["grid"], "zip": [{}]}})
@example(plain={**WHOLE, "dataset": "a\nb.csv"})
@example(plain={**WHOLE, "dataset": "a\0.csv"})
@example(plain={**WHOLE, "dataset": {"file": "experiment.yaml", "encoding": "\0"}})
@example(plain={**WHOLE, "grid": {"model": ["m"], "prompt": [{"file": "a\nb.md"}]}})
@example(plain={**WHOLE, "name": "a\u2028b", "zip": [], "exclude": []})
def test_any_values_load_or_are_told(fuzzed: Path, plain: Any) -> None:
    loads_or_tells(fuzzed, json.dumps(plain, ensure_ascii=False).encode())


@st.composite
def slips(draw: st.DrawFn) -> str:
    """The starter config after a slip of the hand."""
    lines = STARTER.splitlines()
    at = draw(
        st.sampled_from([n for n, line in enumerate(lines) if line.lstrip()[:1] != "#"])
    )
    line = lines[at]
    place = draw(st.integers(0, len(line)))
    word = draw(
        st.one_of(
            st.text(max_size=3),
            st.sampled_from(
                [*":-[]{}#&*!|>'\"%@`,?", ": ", "- ", "{{", "null", "\t", "- -"]
            ),
        )
    )
    new = draw(
        st.sampled_from(
            [
                [],
                [line, line],
                [word],
                ["  " + line],
                [line.strip()],
                [line[:place] + word + line[place:]],
                [line[:place] + line[place + 1 :]],
                [line[:place]],
                [line.partition(": ")[0] + f": {word}"],
                [f"{word}:" + line.partition(":")[2]],
            ]
        )
    )
    return "\n".join([*lines[:at], *new, *lines[at + 1 :]])


@settings(max_examples=300)
@given(text=slips())
def test_a_slip_in_the_starter_loads_or_is_told(fuzzed: Path, text: str) -> None:
    loads_or_tells(fuzzed, text.encode())
