"""Templates: what a hole sends, what it cannot reach, and how far a template goes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import promptlab as pl
from promptlab.spec.dataset import check_names

pytestmark = pytest.mark.filterwarnings("ignore:.*no prompt uses")


def hole(inner: str) -> str:
    return "{{" + inner + "}}"


def sent(template: str, **inputs: Any) -> str:
    """What a prompt of one message sends for these inputs."""
    return experiment(template, [inputs]).trials[0].turns[0][-1]["content"]


def experiment(template: str, rows: list[dict[str, Any]]) -> pl.Experiment:
    return pl.Experiment(
        "e", grid={"model": ["m"], "prompt": {"p": template}}, dataset=rows
    )


def refusal(template: str, **inputs: Any) -> str:
    """The message with which the template is refused for these inputs."""
    with pytest.raises(pl.SpecError) as caught:
        sent(template, **inputs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# What a hole reaches.


@pytest.mark.parametrize(
    "name",
    ["items", "values", "keys", "get", "copy", "fromkeys", "update", "pop", "clear"],
)
def test_a_member_of_the_case_wins_over_a_method_of_its_type(name: str) -> None:
    assert sent(hole(f"order.{name}"), order={name: "tea"}) == "tea"
    assert sent(hole(f"order['{name}']"), order={name: "tea"}) == "tea"
    assert sent(hole(f"order|attr('{name}')"), order={name: "tea"}) == "tea"


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{{order.items}}", "order.items"),
        ("{{order['keys']}}", "order['keys']"),
        ("{{order.id.title}}", "order.id.title"),
        ("{{tags.count}}", "tags.count"),
        ("{% for i in order.values %}{{i}}{% endfor %}", "order.values"),
        ("{% if order.get %}yes{% endif %}", "order.get"),
        ("{{ order.items ~ 'x' }}", "order.items"),
        ("{{ order.items | string }}", "order.items"),
    ],
)
def test_a_method_that_no_value_hides_is_refused_by_name(
    template: str, path: str
) -> None:
    said = refusal(template, order={"id": "7"}, tags=["a"])

    assert path in said
    assert said.startswith("prompt 'p', case '1': template fails: ")


def test_a_method_may_be_called_even_beside_a_member_of_its_name() -> None:
    order = {"items": 2, "total": 3}

    said = sent("{% for k, v in order.items() %}{{k}}={{v}};{% endfor %}", order=order)

    assert said == "items=2;total=3;"


@pytest.mark.parametrize(
    "template",
    [
        "{{ joiner() }}{{x}}",
        "{{ cycler }}{{x}}",
        "{{ dict }}{{x}}",
        "{{ range }}{{x}}",
        "{{ x.upper }}",
        "{{ namespace() }}{{x}}",
        "{% for i in [1] %}{{ loop.cycle }}{% endfor %}{{x}}",
        "{% macro m() %}a{% endmacro %}{{ m }}{{x}}",
        "{{ '' ~ cycler }}{{x}}",
        "{{ [cycler] }}{{x}}",
        "{{ [cycler] | join }}{{x}}",
        "{{ '%s' | format(cycler) }}{{x}}",
    ],
)
def test_what_is_no_data_is_never_sent(template: str) -> None:
    assert "template fails" in refusal(template, x="v")


# How a value is written.


def test_json_is_written_as_a_person_would() -> None:
    person = {"name": "Jörg O'Neil <b> & co", "z": 1, "a": "日本"}

    said = sent("{{ d | tojson }}", d=person)

    assert said == '{"name": "Jörg O\'Neil <b> & co", "z": 1, "a": "日本"}'
    assert sent("{{ d | tojson(indent=2) }}", d=["5 < 6", "it's"]) == (
        '[\n  "5 < 6",\n  "it\'s"\n]'
    )


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ d }}", '{"n": null, "ok": true, "ü": "é"}'),
        ("{{ d.l }}", '["a", "b\'s"]'),
        ("{{ d.n }}", "null"),
        ("{{ '' ~ d.l }}", '["a", "b\'s"]'),
        ("{{ d.l | string }}", '["a", "b\'s"]'),
        ("{{ [d.l, d.n] | join('; ') }}", '["a", "b\'s"]; null'),
        ("{{ '%s' | format(d.l) }}", '["a", "b\'s"]'),
        ("{{ '%s' % d.n }}", "null"),
        ("{{ d.l | map('upper') }}", '["A", "B\'S"]'),
        ("{{ d.o.keys() }}", '["k"]'),
        ("{{ d.o | dictsort }}", '[["k", 1]]'),
        ("{{ range(3) }}", "[0, 1, 2]"),
    ],
)
def test_objects_and_lists_are_json_wherever_they_become_text(
    template: str, said: str
) -> None:
    d = {"n": None, "ok": True, "ü": "é", "l": ["a", "b's"], "o": {"k": 1}}
    if template == "{{ d }}":
        del d["l"], d["o"]

    assert sent(template, d=d) == said


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("aé\"'<&"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("aé"), inner),
        max_leaves=8,
    ).filter(lambda value: isinstance(value, (dict, list)) and value)
)
def test_an_object_arrives_as_it_was(value: Any) -> None:
    assert json.loads(sent("{{ d.v }}", d={"v": value})) == value
    assert sent("{{ d.v | tojson }}", d={"v": value}) == json.dumps(
        value, ensure_ascii=False
    )


def test_numbers_and_booleans_are_written_as_before() -> None:
    assert sent("{{a}} {{b}} {{c}}", a=1, b=2.5, c=True) == "1 2.5 True"


# Names.


@pytest.mark.parametrize(
    "name",
    [
        "User Question",
        "user-question",
        "attributes.query",
        "2nd",
        "Question?",
        "Price (USD)",
        "# of items",
        "Customer's question",
        "Überschrift 1",
        "a/b",
        "none",
        "true",
        "self",
        "and",
        "2024",
    ],
)
def test_a_hole_may_hold_the_name_of_any_column(name: str) -> None:
    assert sent("Q {{" + name + "}}", **{name: "hi"}) == "Q hi"
    assert sent("Q {{- " + name + " -}} !", **{name: "hi"}) == "Qhi!"
    assert sent('Q {{ inputs["' + name + '"] }}', **{name: "hi"}) == "Q hi"


@given(name=st.text(min_size=1, max_size=8))
def test_inputs_reaches_a_column_of_any_name_that_can_be_written(name: str) -> None:
    rows = [{name: "hi"}]
    try:
        check_names(pl.Dataset(rows))
    except pl.SpecError:
        return

    written = "".join(f"\\U{ord(sign):08x}" for sign in name)

    assert sent('{{ inputs["' + written + '"] }}', **rows[0]) == "hi"


def test_an_input_called_inputs_is_itself() -> None:
    assert sent("{{ inputs['a'] }} {{ inputs.b }}", inputs={"a": 1, "b": 2}) == "1 2"


def test_an_expression_stays_one_where_no_column_has_its_name() -> None:
    assert sent("{{a-b}} {{c.d}}", a=3, b=1, c={"d": "x"}) == "2 x"


def test_quoted_braces_end_no_hole() -> None:
    assert sent("{{ 'a}}' }} {{ \"}}\" }} {{ '{{' ~ t }}", t="x") == "a}} }} {{x"


@pytest.mark.parametrize("name", ["none", "true", "self", "loop", "None", "False"])
def test_a_word_of_the_template_language_is_no_value(name: str) -> None:
    assert f"needs ['{name}']" in refusal(hole(name) + "{{t}}", t="x")


def test_names_that_look_the_same_are_the_same() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"

    assert sent("Q " + hole(composed), **{decomposed: "hi"}) == "Q hi"
    assert sent("Q " + hole(decomposed), **{composed: "hi"}) == "Q hi"
    assert sent("Q " + hole(f"inputs['{decomposed}']"), **{composed: "hi"}) == "Q hi"
    assert sent("Q " + hole(f"{decomposed} 1"), **{f"{composed} 1": "hi"}) == "Q hi"
    with pytest.raises(pl.SpecError, match="duplicate column 'café'"):
        pl.Dataset([{composed: 1, decomposed: 2}])


def test_a_sign_that_cannot_be_seen_is_shown() -> None:
    said = refusal("Q {{question}}", **{"\u200bquestion": "hi"})

    assert r"'\u200bquestion'" in said
    assert r'did you mean {{inputs["\u200bquestion"]}}?' in said


def test_a_field_that_is_missing_is_told_with_what_may_be_meant() -> None:
    assert "did you mean {{text}}?" in refusal("{{txt}}", text="a")
    assert "did you mean {{User Question}}?" in refusal(
        "{{user_question}}", **{"User Question": "a"}
    )


# Fields that a template can do without.


@pytest.mark.parametrize(
    ("template", "without", "with_it"),
    [
        ("{{ t | default('-') }}", "-", "T"),
        ("{{ t | d('-') | upper }}", "-", "T"),
        ("{% if t %}{{ t }}{% else %}-{% endif %}", "-", "T"),
        ("{% if not t %}-{% else %}{{ t }}{% endif %}", "-", "T"),
        ("{{ t if t else '-' }}", "-", "T"),
        ("{{ t or '-' }}", "-", "T"),
        ("{% if t is defined %}{{ t }}{% else %}-{% endif %}", "-", "T"),
        ("{% if t is undefined %}-{% else %}{{ t }}{% endif %}", "-", "T"),
        ("{% if t is none %}-{% else %}{{ t }}{% endif %}", "-", "T"),
        ("{% if t and t.strip() %}{{ t }}{% else %}-{% endif %}", "-", "T"),
        ("{% if u and t %}{{ t }}{% elif not t %}-{% endif %}", "-", "T"),
        ("{{ inputs['t'] | default('-') }}", "-", "T"),
        ("{% for x in t or ['-'] %}{{ x }}{% endfor %}", "-", "T"),
    ],
)
def test_a_field_that_the_template_guards_is_optional(
    template: str, without: str, with_it: str
) -> None:
    made = experiment(template, [{"u": 1}, {"u": 1, "t": None}, {"u": 1, "t": "T"}])

    said = [trial.turns[0][-1]["content"] for trial in made.trials]

    assert said == [without, without, with_it]


@pytest.mark.parametrize(
    "template",
    [
        "{% if t %}yes{% endif %} {{ t }}",
        "{% if u or t %}{{ t }}{% endif %}",
        "{{ t | upper | default('-') }}",
        "{% if t == 'x' %}yes{% endif %}{{u}}",
        "{% if t is none %}{{ t }}{% endif %}{{u}}",
        "{{ u if t else t }}",
    ],
)
def test_a_field_that_is_used_beside_its_guard_is_needed(template: str) -> None:
    assert "prompt 'p' needs ['t']" in refusal(template, u="x")


def test_an_optional_field_that_no_case_has_is_told() -> None:
    with pytest.warns(pl.PromptlabWarning, match=r"may use 'qestion', which no case"):
        experiment("{% if qestion %}a{% endif %}{{question}}", [{"question": "q"}])


# Limits.

ENDLESS = [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
    "{{ m(90) }}",
]
HUGE = [
    "{{ 'a' * 300000000 }}",
    "{{ 300000000 * 'a' }}",
    "{{ 'a'.ljust(300000000) }}",
    "{{ 'a' | center(300000000) }}",
    "{{ '%300000000d' % 1 }}",
    "{{ '%300000000d' | format(1) }}",
    "{{ '%*d' % (300000000, 1) }}",
    "{{ '{:300000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 300000000) }}",
    "{{ ('\\t' * 1000).expandtabs(300000) }}",
    "{{ ('a' * 10000).replace('a', 'b' * 10000) }}",
    "{{ ('a' * 10000) | replace('a', 'b' * 10000) }}",
    "{{ ('b' * 10000).join('a' * 10000) }}",
    "{{ ('a' * 10000) | join('b' * 10000) }}",
    "{{ ('a\\n' * 10000) | indent(100000) }}",
    "{{ [[1]] | tojson(indent=300000000) }}",
    "{{ [1] | batch(300000000, 'a') | list }}",
    "{{ [0] * 300000000 }}",
    "{% set ns = namespace(a='aaaaaaaa') %}{% for i in range(40) %}"
    "{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
    "{% set ns = namespace(a='aaaaaaaa') %}{% for i in range(40) %}"
    "{% set ns.a = ns.a + ns.a %}{% endfor %}",
    "{% set a %}{% for i in range(9999) %}{{ 'a' * 10000 }}{% endfor %}{% endset %}",
    "{% for i in range(99999) %}" + "a" * 1000 + "{% endfor %}",
    "{{ ['a'] | map('center', 300000000) | list }}",
    "{{ ['a'] | map('center, unmetered', 300000000) | list }}",
    "{% set a %}{% for i in range(9999) %}{{ [-99999999] | map('a step') | list }}"
    "{{ 'a' * 10000 }}{% endfor %}{% endset %}",
    "{% set ns = namespace(n=3) %}{% for i in range(99) %}"
    "{% set ns.n = ns.n * ns.n %}{% endfor %}",
]


@pytest.mark.parametrize("template", ENDLESS, ids=["loops", "macro"])
def test_a_template_that_does_not_end_is_ended(template: str) -> None:
    said = refusal(template + "{{x}}", x="v")

    assert said == (
        "prompt 'p', case '1': template fails: it computes for more than 2 s"
    )


@pytest.mark.parametrize("template", HUGE)
def test_a_template_makes_no_huge_text(template: str) -> None:
    assert refusal(template + "{{x}}", x="v").startswith(
        "prompt 'p', case '1': template fails: "
    )


def test_a_template_may_loop_over_what_a_case_holds() -> None:
    rows = [{"text": "a" * 50, "label": "b"}] * 2_000

    said = sent("{% for r in rows %}{{r.text}}: {{r.label}}\n{% endfor %}", rows=rows)

    assert said == ("a" * 50 + ": b\n") * 2_000


def test_large_numbers_may_be_formatted() -> None:
    assert sent("{{ '%d at %s' | format(n, t) }}", n=2**62, t="x" * 100_000) == (
        f"{2**62} at {'x' * 100_000}"
    )


# What is told of braces.


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ('One of {{"yes"}}: {{t}}', "prompt 'p': {{\"yes\"}} holds no field"),
        ("{{ 5 }} {{t}}", "{{ 5 }} holds no field"),
        ("Use {# not this #} {{t}}", "{# not this #} is a comment: it is not sent"),
        ("{t} {{t}}", "{t} is sent as it is, unlike {{t}}"),
    ],
)
def test_braces_that_send_something_else_are_told(template: str, said: str) -> None:
    with pytest.warns(pl.PromptlabWarning) as caught:
        experiment(template, [{"t": "x"}])

    assert said in str(caught[0].message)


def test_braces_that_are_written_on_purpose_are_not() -> None:
    made = experiment(
        '{{"{"}}{{t}}{{"}"}} {% raw %}{t} {# #}{% endraw %}', [{"t": "x"}]
    )

    assert made.warnings == ()


@pytest.mark.parametrize("name", ["t", "User Question"])
def test_a_field_in_single_braces_is_refused(name: str) -> None:
    said = refusal("a\nClassify {" + name + "}", **{name: "x"})

    assert "line 2: {" + name + "} is sent as it is; " in said
    assert "for the field, write " + hole(name) in said


@pytest.mark.parametrize("template", ["{u} {{t}}", "\\emph{t} {{t}}", "${t} {{t}}"])
def test_other_single_braces_are_text(template: str) -> None:
    assert experiment(template, [{"t": "x"}]).warnings == ()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ('Return {{"a": 1}} for {{t}}', '{{"a": 1}} is neither a field nor an'),
        ("Markers {#id} for {{t}}", "{# is not closed by #} in {#id}"),
        ("\\textbf{{{t}}}", 'for braces around a field, write {{"{"}}{{t}}{{"}"}}'),
        ("{{#if t}}x{{/if}}", "{{#if t}} is of another template language; here it is"),
        ("{{ t | uper }}", "no filter is called 'uper'; did you mean 'upper'?"),
        ("{% if t %}x", "{% if ... %} is not closed: {% endif %} is missing"),
        ("{% else %}", "no tag is called 'else'"),
        ("{{ }}", "{{ }} holds nothing"),
        ("{{t", "{{ is not closed by }} in {{t"),
        ("{% if t == %}x{% endif %}", "{% if t == %} is no tag that can be read"),
    ],
)
def test_what_cannot_be_read_is_told_in_our_words(template: str, said: str) -> None:
    with pytest.raises(pl.SpecError) as caught:
        pl.Prompt(f"first line\n{template}")

    assert str(caught.value).startswith("template, line 2: ")
    assert said in str(caught.value)


def test_a_failure_says_the_line_of_a_template() -> None:
    assert "template fails: line 3: " in refusal("a\nb\n{{t.u}}", t="x")


# What a prompt looks like.


@pytest.mark.parametrize(
    "text",
    [
        '[{"role": "user", "content": "{{t}}"}]',
        '{"messages": [{"role": "user", "content": "{{t}}"}]}',
    ],
)
def test_a_text_that_is_json_messages_is_told(text: str) -> None:
    with pytest.warns(pl.PromptlabWarning, match="looks like a JSON list of messages"):
        experiment(text, [{"t": "x"}])


def test_a_field_in_single_braces_is_refused_in_another_grid_too() -> None:
    made = experiment("{{t}}", [{"t": "x"}])

    with pytest.raises(pl.SpecError, match=r"write \{\{t\}\}; for"):
        made.with_grid({"model": ["m"], "prompt": ["Classify {t}"]})


def test_a_run_of_old_with_a_field_in_single_braces_is_read() -> None:
    plain = experiment("Classify {{t}}", [{"t": "x"}]).to_plain()
    plain["grid"]["prompt"]["p"] = "Classify {t}"

    read = pl.Experiment.from_plain(plain)

    assert read.trials[0].turns[0][0]["content"] == "Classify {t}"


def test_a_column_may_have_the_name_of_what_is_kept_beside_the_columns() -> None:
    loop = "{% for i in [1] %}{{a meter}}{% endfor %}"

    assert sent(loop, **{"a meter": "hi"}) == "hi"


@pytest.mark.parametrize("text", ["file://prompts/a.txt", "prompts/b.md"])
def test_a_text_that_is_the_name_of_a_file_is_told(text: str) -> None:
    with pytest.warns(pl.PromptlabWarning, match="looks like the name of a file"):
        experiment(text, [{"id": "x"}])


def test_a_list_that_others_would_cross_is_told() -> None:
    rows: list[dict[str, Any]] = [{"t": "x"}, {"t": ["a", "b"]}]

    with pytest.warns(pl.PromptlabWarning, match=r"sends the list 't' of case '2'"):
        experiment("{{t}}", rows)
    for asked in (
        "{{t|join(', ')}}",
        "{{t|tojson}}",
        "{% for x in t %}{{x}}{% endfor %}",
    ):
        assert experiment(asked, [{"t": ["a"]}]).warnings == ()
