"""Prompts: what their holes take, which messages are asked, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import promptlab as pl


def rendered(prompt: pl.Prompt, **inputs: Any) -> list[list[tuple[str, str]]]:
    """The messages of each call, as pairs of role and content."""
    return [
        [(message["role"], message["content"]) for message in turn]
        for turn in prompt.turns(inputs)
    ]


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def test_a_text_is_one_user_message() -> None:
    prompt = pl.Prompt("Which team? {{ticket}}")

    assert rendered(prompt, ticket="broken") == [[("user", "Which team? broken")]]


def test_fields_are_the_holes_in_alphabetical_order() -> None:
    prompt = pl.Prompt("{{b}} {% if c %}{{ a.x }}{% endif %} {% set d = 1 %}{{ d }}")

    assert prompt.fields == ("a", "b", "c")


def test_fields_of_every_message_count() -> None:
    prompt = pl.Prompt([message("system", "{{tone}}"), message("user", "{{text}}")])

    assert prompt.fields == ("text", "tone")


def test_a_field_that_is_not_given_is_refused() -> None:
    with pytest.raises(pl.SpecError, match="'ticket' is undefined"):
        pl.Prompt("{{ticket}}").turns({})


def test_inputs_are_not_templates() -> None:
    prompt = pl.Prompt("{{text}}")

    assert rendered(prompt, text="{{ 7 * 7 }}") == [[("user", "{{ 7 * 7 }}")]]


def test_inputs_are_not_escaped_for_html() -> None:
    assert rendered(pl.Prompt("{{text}}"), text="<b>&") == [[("user", "<b>&")]]


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_an_input_arrives_character_for_character(text: str) -> None:
    assert rendered(pl.Prompt("[{{text}}]"), text=text) == [[("user", f"[{text}]")]]


def test_two_user_messages_are_two_calls() -> None:
    prompt = pl.Prompt(
        [message("system", "Be brief"), message("user", "a"), message("user", "b")]
    )

    assert rendered(prompt) == [
        [("system", "Be brief"), ("user", "a")],
        [("user", "b")],
    ]


def test_a_user_message_before_an_assistant_message_is_history() -> None:
    prompt = pl.Prompt(
        [message("user", "2+2?"), message("assistant", "4"), message("user", "3+3?")]
    )

    assert rendered(prompt) == [
        [("user", "2+2?"), ("assistant", "4"), ("user", "3+3?")]
    ]


def test_history_may_stand_between_two_calls() -> None:
    prompt = pl.Prompt(
        [
            message("user", "a"),
            message("user", "b"),
            message("assistant", "B"),
            message("user", "c"),
        ]
    )

    assert rendered(prompt) == [
        [("user", "a")],
        [("user", "b"), ("assistant", "B"), ("user", "c")],
    ]


def test_a_turn_that_renders_to_nothing_is_not_asked() -> None:
    prompt = pl.Prompt([message("user", "{{first}}"), message("user", "{{second}}")])

    assert rendered(prompt, first="a", second=" \n ") == [[("user", "a")]]
    assert rendered(prompt, first="", second="b") == [[("user", "b")]]


def test_the_system_message_stays_when_the_first_turn_is_not_asked() -> None:
    prompt = pl.Prompt([message("user", "{{first}}"), message("user", "b")])

    assert rendered(prompt.with_system("Be brief"), first="") == [
        [("system", "Be brief"), ("user", "b")]
    ]


def test_a_prompt_that_renders_to_nothing_is_refused() -> None:
    with pytest.raises(pl.SpecError, match="there is no question to ask"):
        pl.Prompt("{{text}}").turns({"text": ""})


def test_with_system_puts_a_system_message_first() -> None:
    prompt = pl.Prompt("Hi").with_system("You are {{who}}")

    assert rendered(prompt, who="kind") == [
        [("system", "You are kind"), ("user", "Hi")]
    ]
    assert prompt.has_system


def test_with_system_none_changes_nothing() -> None:
    prompt = pl.Prompt("Hi")

    assert prompt.with_system(None) == prompt
    assert not prompt.has_system


@pytest.mark.parametrize(
    "plain",
    [
        "Hi {{name}}",
        [message("system", "Be brief"), message("user", "Hi")],
        [message("user", "a"), message("assistant", "A"), message("user", "b")],
    ],
    ids=["text", "system", "history"],
)
def test_to_plain_makes_the_same_prompt(plain: Any) -> None:
    prompt = pl.Prompt(plain)

    assert pl.Prompt(prompt.to_plain()) == prompt
    assert prompt.to_plain() == plain


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "needs at least one message"),
        (
            [message("system", "a")],
            "expected a user message at the end of a prompt, got 'system'",
        ),
        ([message("usr", "a")], "got 'usr'; did you mean 'user'"),
        ([{"role": "user"}], "a message with 'role' and 'content'"),
        (
            [{**message("user", "a"), "nme": "b"}],
            "unknown member 'nme' of a message; did you mean 'name'",
        ),
        (["a"], "expected a message with 'role' and 'content', got 'a'"),
        ([message("user", 1)], "expected a string or parts as content, got 1"),  # type: ignore[arg-type]
        (5, "a string or a list of messages, got 5"),
        (None, "a string or a list of messages, got None"),
        ({"role": "user", "content": "a"}, "a string or a list of messages, got {"),
    ],
    ids=[
        "no message",
        "system at the end",
        "misspelt role",
        "no content",
        "misspelt member",
        "a text among messages",
        "content of another kind",
        "a number",
        "nothing",
        "one message without its list",
    ],
)
def test_what_is_no_prompt_is_refused(given: Any, said: str) -> None:
    with pytest.raises(pl.SpecError) as caught:
        pl.Prompt(given)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ",
        "{{ a b = c }}",
        "{% for %}",
        "{% if a %}",
        "{{ a | no_such_filter }}",
        "{{ " + "9" * 5000 + " }}",
        "{{ " + "(" * 5000 + " }}",
    ],
    ids=[
        "open hole",
        "two names",
        "bad loop",
        "open if",
        "unknown filter",
        "huge number",
        "deep brackets",
    ],
)
def test_a_template_that_does_not_parse_is_refused(template: str) -> None:
    with pytest.raises(pl.SpecError, match=r"^template, line \d+: .+") as caught:
        pl.Prompt(template)

    assert "\n" not in str(caught.value)


def test_a_template_error_says_its_line() -> None:
    with pytest.raises(pl.SpecError, match=r"^template, line 3: "):
        pl.Prompt("one\ntwo\nthree {{ }}")


@pytest.mark.parametrize(
    "template",
    [
        "{% include 'a' %}",
        "{% import 'a' as b %}",
        "{% from 'a' import b %}",
        "{% extends 'a' %}",
        "{% if x %}{% include 'a' %}{% endif %}",
    ],
    ids=["include", "import", "from import", "extends", "nested include"],
)
def test_a_template_cannot_load_others(template: str) -> None:
    with pytest.raises(pl.SpecError, match="cannot load other templates"):
        pl.Prompt(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ x.append(1) }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ ''.join.__globals__ }}",
        "{{ (x|map(attribute='__class__')|list)[0].__mro__ }}",
        "{{ range.__init__.__globals__ }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
    ],
)
def test_a_template_reaches_no_further_than_its_inputs(template: str) -> None:
    with pytest.raises(pl.SpecError, match=r"^template fails: "):
        pl.Prompt(template).turns({"x": [1]})


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10 ** 9) %}x{% endfor %}",
        "{% for i in range(999999999) %}x{% endfor %}",
        "{{ 9 ** 9 ** 9 }}",
    ],
    ids=["power", "loop", "tower"],
)
def test_a_template_that_would_not_end_is_refused(template: str) -> None:
    with pytest.raises(pl.SpecError, match=r"^template fails: "):
        pl.Prompt(template).turns({})


@pytest.mark.parametrize("template", ["{{ lipsum() }}", "{{ [1, 2, 3]|random }}"])
def test_a_template_cannot_say_something_else_each_time(template: str) -> None:
    with pytest.raises(pl.SpecError):
        pl.Prompt(template).turns({})


def test_a_template_cannot_change_its_inputs() -> None:
    inputs = {"words": ["a"]}

    with pytest.raises(pl.SpecError):
        pl.Prompt("{% set _ = words.append('b') %}{{ words }}").turns(inputs)
    assert inputs == {"words": ["a"]}


def test_prompts_of_equal_messages_are_equal() -> None:
    assert pl.Prompt("a") == pl.Prompt([message("user", "a")])
    assert hash(pl.Prompt("a")) == hash(pl.Prompt([message("user", "a")]))
    assert pl.Prompt("a") != pl.Prompt("b")
