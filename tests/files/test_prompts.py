"""Prompts in files: one each, or many in a table or a text."""

from __future__ import annotations

import json

import pytest

import promptlab as pl
from promptlab.errors import ConfigError

from .conftest import BASE, Load, Write


def test_a_prompt_file_is_a_text_or_a_list_of_messages(write: Write) -> None:
    messages = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "{{t}}"},
    ]

    text = pl.Prompt.from_file(write("p.md", "\ufeffHi {{t}}\r\n"))
    several = [
        pl.Prompt.from_file(write("p.json", json.dumps(messages))),
        pl.Prompt.from_file(
            write(
                "p.yaml",
                "- role: system\n  content: Be brief\n- {role: user, content: '{{t}}'}",
            )
        ),
    ]

    assert text.turns({"t": "a"}) == (({"role": "user", "content": "Hi a"},),)
    assert several == [pl.Prompt(messages)] * 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.md", "a\n{{ t", ": template, line 2: "),
        ("p.md", b"a\n\xff", ", line 2: byte 0xff is not utf-8 text"),
        ("p.yaml", "5", ": expected a string or a list of messages, got 5"),
        ("p.yaml", "role: user", ": expected a string or a list of messages, got {"),
        ("p.yaml", "- {role: user}", ": expected a message with 'role' and"),
        ("p.yaml", "- {role: user, content: [}", ", line 1: not valid YAML"),
        ("p.yaml", "", " is empty"),
    ],
)
def test_a_mistake_in_a_prompt_file_says_where(
    write: Write, name: str, content: str | bytes, said: str
) -> None:
    path = write(name, content)

    with pytest.raises(ConfigError) as caught:
        pl.Prompt.from_file(path)

    assert str(caught.value).startswith(f"{path}{said}")


PROMPTS = {
    "prompts.csv": 'id,text,note\nplain,"Hi {{t}}, you",x\nloud,{{t}}!,y\n',
    "prompts.jsonl": '{"id": "plain", "text": "Hi {{t}}, you"}\n'
    '{"id": "loud", "text": "{{t}}!"}\n',
}


@pytest.mark.parametrize("name", PROMPTS)
def test_the_rows_of_a_table_are_prompts(write: Write, load: Load, name: str) -> None:
    path = write(name, PROMPTS[name])
    expected = {"plain": pl.Prompt("Hi {{t}}, you"), "loud": pl.Prompt("{{t}}!")}
    plain = 'prompt: {plain: "{{t}}"}'

    made = pl.Prompt.all_from_file(path, column="text", name="id")
    config = load(
        BASE.replace(plain, f"prompt: {{file: {name}, column: text, name: id}}")
    )

    assert made == expected
    levels = config.experiment.grid.levels("prompt")
    assert {level.label: level.value for level in levels} == expected
    assert config.files[1:] == (path,)
    assert list(pl.Prompt.all_from_file(path, column="text")) == [
        "prompt_1",
        "prompt_2",
    ]


def test_a_text_that_lines_of_dashes_divide_is_several_prompts(
    write: Write, load: Load
) -> None:
    path = write("prompts.md", "Hi {{t}}\n\nBye\n---\n{{t}}!\n--- \n\n")
    plain = 'prompt: {plain: "{{t}}"}'
    expected = [pl.Prompt("Hi {{t}}\n\nBye"), pl.Prompt("{{t}}!")]

    config = load(BASE.replace(plain, "prompt: {file: prompts.md}"))

    levels = config.experiment.grid.levels("prompt")
    assert [(level.label, level.value) for level in levels] == [
        ("prompt_1", expected[0]),
        ("prompt_2", expected[1]),
    ]
    assert list(pl.Prompt.all_from_file(path).values()) == expected
    assert pl.Prompt.from_file(path).fields == ("t",)  # one prompt, dashes and all


def test_system_messages_may_stand_in_the_rows_of_a_table(
    write: Write, load: Load
) -> None:
    write("systems.csv", "id,text\nbrief,Be brief\nkind,Be kind\n")

    config = load(BASE + "  system: {file: systems.csv, name: id}\n")

    levels = config.experiment.grid.levels("system")
    assert {level.label: level.value for level in levels} == {
        "brief": "Be brief",
        "kind": "Be kind",
    }


@pytest.mark.parametrize(
    ("given", "content", "said"),
    [
        ("column: txt", "id,text\na,b\n", " has no column 'txt'; did you mean 'text'?"),
        ("column: x", "id,text\na,b\n", " has no column 'x'; valid names: id, text"),
        ("name: x", "id,text\na,b\n", " has no column 'x'; valid names: id, text"),
        ("", "id,text\na,b\n", " has several columns; choose one with `column`: id"),
        ("column: text", "id,text\na,\nb,c\n", ", row 1: 'text': expected a string"),
        ("name: id", "id,text\na,b\na,c\n", ", row 2: duplicate name 'a'"),
        ("name: id", "id,text\na,b\n,c\n", ", row 2: no name"),
        ("name: id", "id,text\na,b {{\n", ", a: template, line 1: "),
    ],
)
def test_a_mistake_in_a_table_of_prompts_says_where(
    write: Write, load: Load, given: str, content: str, said: str
) -> None:
    path = write("prompts.csv", content)
    plain = 'prompt: {plain: "{{t}}"}'

    with pytest.raises(ConfigError) as caught:
        load(BASE.replace(plain, f"prompt: {{file: prompts.csv, {given}}}"))

    assert f"{path}{said}" in str(caught.value)


def test_a_text_has_no_columns(write: Write) -> None:
    path = write("prompts.md", "Hi\n---\nBye\n")

    with pytest.raises(ConfigError, match="has no column 'text': it is not a table"):
        pl.Prompt.all_from_file(path, column="text")
