"""Wordings: one prompt in several formats, orders of examples and paraphrases."""

from __future__ import annotations

import time

import pytest

import promptlab as pl
from promptlab.testing import FakeClient

SHOTS = """\
One of:
1. billing
2. technical

Ticket: I was charged twice
Team: billing

Ticket: The app closes
Team: technical

Ticket: {{ticket}}
Team:"""

CHAT = [
    {"role": "system", "content": "Ticket: means what was written."},
    {"role": "user", "content": "first"},
    {"role": "assistant", "content": "Team: billing"},
    {"role": "user", "content": "second"},
    {"role": "assistant", "content": "Team: technical"},
    {"role": "user", "content": "third"},
    {"role": "assistant", "content": "Team: other"},
    {"role": "user", "content": "Ticket: {{ticket}}"},
]


def words(text: str) -> list[str]:
    """The words of a text, whatever stands between them."""
    kept = "".join(sign if sign.isalnum() or sign in "{}" else " " for sign in text)
    return kept.lower().split()


def text_of(prompt: pl.Prompt) -> str:
    return str(prompt.messages[-1].content)


def test_the_first_wording_is_the_prompt_as_it_is_written() -> None:
    wordings = pl.Wordings(SHOTS, formats=3)

    assert next(iter(wordings.prompts.items())) == ("as written", pl.Prompt(SHOTS))
    assert len(wordings) == 4


def test_a_format_changes_no_word_and_no_hole() -> None:
    wordings = pl.Wordings(SHOTS, formats=100)

    texts = [text_of(prompt) for prompt in wordings.prompts.values()]
    assert len(set(texts)) == 101
    assert all(words(text) == words(SHOTS) for text in texts)
    assert all(prompt.fields == ("ticket",) for prompt in wordings.prompts.values())


def test_formats_are_named_by_what_they_change() -> None:
    wordings = pl.Wordings("Ticket: {{ticket}}\nTeam:", formats=29)

    assert text_of(wordings.prompts["dash, upper case, bars"]) == (
        "TICKET - {{ticket}} | TEAM -"
    )
    assert text_of(wordings.prompts["new line"]) == "Ticket:\n{{ticket}}\nTeam:"


def test_the_same_seed_draws_the_same_and_another_one_others() -> None:
    one, again = (pl.Wordings(SHOTS, formats=5, shots_order=1) for _ in range(2))

    assert one == again
    assert hash(one) == hash(again)
    assert list(one.prompts) != list(pl.Wordings(SHOTS, formats=5, seed=1).prompts)


def test_sentences_code_holes_and_answers_are_left_as_they_are() -> None:
    kept = [
        "Note: answer in one word",
        "```\nTicket: {{ticket}}\n```",
        "{% if x == 'Ticket: a' %}Ticket: b{% endif %}",
        "{% raw %}\nTicket: {{c}}\n{% endraw %}",
        "at 10:30",
        "- one line alone",
        "\ue0000\ue001",
    ]
    text = "\n\n".join([*kept, "Ticket: {{ticket}}"])
    prompt = pl.Prompt([*CHAT[:3], {"role": "user", "content": text}])

    for wording in pl.Wordings(prompt, formats=8).prompts.values():
        assert wording.messages[2] == prompt.messages[2]
        assert all(part in text_of(wording) for part in kept)
    assert all(
        wording.messages[0].content != prompt.messages[0].content
        for name, wording in pl.Wordings(prompt, formats=8).prompts.items()
        if name in ("dash", "equals", "two colons")
    )


def test_bulleted_and_numbered_lists_get_other_signs() -> None:
    numbers = pl.Wordings("Pick one.\nA) yes\nB) no\n\n{{x}}", formats=2)
    bullets = pl.Wordings("- {{x}}\n- {{y}}", formats=2)

    assert "\n(A) yes\n(B) no\n" in text_of(numbers.prompts["(1)"])
    assert "\nA. yes\nB. no\n" in text_of(numbers.prompts["1."])
    assert {text_of(p) for p in bullets.prompts.values()} == {
        f"{sign} {{{{x}}}}\n{sign} {{{{y}}}}" for sign in "-*•"
    }


def test_examples_in_a_text_change_places() -> None:
    wordings = pl.Wordings(SHOTS, shots_order=1)

    assert list(wordings.prompts) == ["as written", "examples 2 1"]
    moved = text_of(wordings.prompts["examples 2 1"])
    assert moved.index("The app closes") < moved.index("I was charged twice")
    assert "Ticket: The app closes\nTeam: technical\n" in moved
    assert moved.endswith("Ticket: {{ticket}}\nTeam:")
    assert sorted(words(moved)) == sorted(words(SHOTS))


def test_examples_without_blank_lines_between_them_change_places() -> None:
    wordings = pl.Wordings("Q: a\nA: 1\nQ: b\nA: 2\nQ: {{q}}\nA:", shots_order=1)

    assert text_of(wordings.prompts["examples 2 1"]) == (
        "Q: b\nA: 2\nQ: a\nA: 1\nQ: {{q}}\nA:"
    )


def test_examples_in_messages_change_places_with_their_answers() -> None:
    wordings = pl.Wordings(CHAT, shots_order=5)

    assert len(wordings) == 6
    for prompt in wordings.prompts.values():
        contents = [message.content for message in prompt.messages]
        assert contents[0] == CHAT[0]["content"]
        assert contents[-1] == CHAT[-1]["content"]
        pairs = set(zip(contents[1:7:2], contents[2:8:2], strict=True))
        assert pairs == {
            ("first", "Team: billing"),
            ("second", "Team: technical"),
            ("third", "Team: other"),
        }


def test_many_examples_are_drawn_in_as_many_orders_as_wanted() -> None:
    shots = "".join(f"Q: {n}\nA: {n}\n" for n in range(12))

    wordings = pl.Wordings(f"{shots}Q: {{{{q}}}}\nA:", shots_order=40)

    assert len({text_of(prompt) for prompt in wordings.prompts.values()}) == 41


def test_paraphrases_are_named_or_numbered() -> None:
    named = pl.Wordings(
        "Team? {{x}}", paraphrases={"polite": "Which team, please? {{x}}"}
    )
    listed = pl.Wordings("Team? {{x}}", paraphrases=["Who? {{x}}", "Where to? {{x}}"])

    assert list(named.prompts) == ["as written", "polite"]
    assert list(listed.prompts) == ["as written", "paraphrase 1", "paraphrase 2"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pl.Wordings("a"), "expected other wordings"),
        (lambda: pl.Wordings("a", formats=1), "nothing to write in another format"),
        (lambda: pl.Wordings(SHOTS, formats=900), "in 134 other formats"),
        (lambda: pl.Wordings("a", shots_order=1), "no examples to reorder"),
        (lambda: pl.Wordings(SHOTS, shots_order=2), "2 examples have 1 other order$"),
        (lambda: pl.Wordings("a", formats=-1), "expected an integer >= 0, got -1"),
        (lambda: pl.Wordings("a", formats=True), "expected an integer >= 0, got True"),
        (lambda: pl.Wordings("a", paraphrases="b"), "expected a list of prompts"),
        (lambda: pl.Wordings("a", paraphrases={"as written": "b"}), "as a name"),
        (lambda: pl.Wordings(3, formats=1), "expected a string or a list of messages"),
        (
            lambda: pl.Grid(model=["m"], prompt=[{"wordings": ["a", "b"]}]),
            "expected a mapping of names to prompts, 'as written' first",
        ),
    ],
)
def test_what_cannot_be_varied_is_refused_with_what_would_do(make, message) -> None:
    with pytest.raises(pl.SpecError, match=message):
        make()


def test_long_texts_take_no_long_time() -> None:
    texts = ["a" * 200_000, "```" * 60_000, "a b" * 60_000, " " * 200_000]
    texts += ["a: " * 60_000, "1. " * 60_000, "\n" * 60_000 + "a", "(((" * 60_000]
    for text in texts:
        start = time.perf_counter()
        pl.Wordings(f"Ticket: {{{{x}}}}\n{text}", formats=1)
        assert time.perf_counter() - start < 10


# In a grid, it is one prompt with a parameter below it.


def experiment(**grid) -> pl.Experiment:
    prompts = {
        "shots": pl.Wordings(SHOTS, formats=2, shots_order=1),
        "plain": "{{ticket}}",
    }
    return pl.Experiment(
        "wordings",
        grid={"model": ["a", "b"], "prompt": prompts, **grid},
        dataset=[{"ticket": "It is late"}, {"ticket": "It is broken"}],
    )


def test_a_grid_crosses_wordings_below_their_prompt() -> None:
    grid = experiment(temperature=[0, 1]).grid

    assert len(grid) == 2 * (4 + 1) * 2
    assert [level.label for level in grid.used("prompt")] == ["shots", "plain"]
    assert "prompt: 2" in repr(grid)
    assert {v.labels["wording"] for v in grid if v.labels["prompt"] == "plain"} == {
        "as written"
    }


def test_the_name_of_a_wording_is_not_sent() -> None:
    for trial in experiment().trials:
        assert set(trial.variant.parameters) == set()
        assert "wording" not in str(trial.variant.dropped)
    assert not any("wording" in warning for warning in experiment().warnings)


def test_wordings_have_keys_of_their_own_and_the_first_one_that_of_its_prompt() -> None:
    plain = pl.Experiment(
        "plain",
        grid={"model": ["a"], "prompt": {"shots": SHOTS}},
        dataset=[{"ticket": "It is late"}],
    )
    client = FakeClient()
    plain.run(client=client, progress=False)

    results = experiment().only(model="a").run(client=client, progress=False)

    assert client.calls == 1 + 2 * 5 - 1
    assert results.table["key"].nunique() == 10


def test_some_of_the_wordings_can_be_chosen() -> None:
    chosen = experiment().only(prompt="shots", wording=["as written", "examples 2 1"])

    assert len(chosen.grid) == 2 * 2
    left = experiment(exclude=[{"wording": "examples 2 1"}])
    assert len(left.grid) == 2 * 4


def test_wordings_may_vary_together_with_another_parameter() -> None:
    grid = pl.Grid(
        model=["a"],
        zip=[
            {
                "prompt": {
                    "shots": pl.Wordings("Ticket: {{ticket}}\nTeam:", formats=1),
                    "plain": "{{ticket}}",
                },
                "max_tokens": {"few": 5, "many": 50},
            }
        ],
    )

    found = [(v["max_tokens"], *map(v.labels.get, ("prompt", "wording"))) for v in grid]
    assert found == [
        (5, "shots", "as written"),
        (5, "shots", "blank lines"),
        (50, "plain", "as written"),
    ]
    assert pl.Grid.from_plain(grid.to_plain()).to_plain() == grid.to_plain()


def test_a_definition_is_written_and_read_with_its_wordings() -> None:
    written = experiment().to_plain()

    again = pl.Experiment.from_plain(written)

    assert again.to_plain() == written
    assert [v.labels for v in again.grid] == [v.labels for v in experiment().grid]


def test_the_column_of_wordings_follows_that_of_prompts(tmp_path) -> None:
    results = experiment().run(client=FakeClient(), progress=False)

    assert list(results.table)[1:4] == ["model", "prompt", "wording"]
    assert results.varying == ["model", "prompt"]
    assert len(results.summary()) == 4
    results.to(tmp_path / "run.csv")
    results.to(tmp_path / "run.parquet")
    for name in ("run.csv", "run.parquet"):
        table = pl.read_results(tmp_path / name)
        assert table["wording"].tolist() == results.table["wording"].tolist()


def test_another_parameter_cannot_have_the_name() -> None:
    with pytest.raises(pl.SpecError, match="'wording' is what the table calls"):
        experiment(wording=["a"])
    with pytest.raises(pl.SpecError, match="'wording' is a parameter of the grid"):
        pl.Experiment(
            "e",
            grid={
                "model": ["a"],
                "prompt": [pl.Wordings("{{x}}", paraphrases=["?{{x}}"])],
            },
            dataset=[{"x": "1", "wording": "mine"}],
        )


def test_without_wordings_the_name_is_free() -> None:
    results = pl.Experiment(
        "e",
        grid={"model": ["a"], "prompt": ["{{wording}} {{x}}"], "wording": ["hi", "ho"]},
        dataset=[{"x": "1"}],
    ).run(client=FakeClient(), progress=False)

    assert results.varying == ["wording"]
    assert [
        word in text
        for word, text in zip(["hi 1", "ho 1"], results.table["output"], strict=True)
    ] == [True, True]
