"""Named scorers of text."""

from __future__ import annotations

from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer

import promptlab as pl
from promptlab import scorers
from promptlab.results.record import Score

from .given import score, value

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("scorer", "output", "expected", "right"),
    [
        (scorers.exact(), " Paris\n", "Paris", True),
        (scorers.exact(strip=False), " Paris\n", "Paris", False),
        (scorers.exact(), "paris", "Paris", False),
        (scorers.exact(ignore_case=True), "STRASSE", "straße", True),
        (scorers.exact(), COMPOSED, DECOMPOSED, True),
        (scorers.exact(), "3", 3, True),
        (scorers.exact(), "true", True, True),
        (scorers.exact("Rome"), "Rome", "Paris", True),
        (scorers.exact(transform="last_line"), "Let me see.\n\nParis\n", "Paris", True),
        (scorers.contains("café"), f"the {DECOMPOSED} here", None, True),
        (scorers.contains(), "It is Paris.", "Paris", True),
        (scorers.contains("x"), "abc", None, False),
        (scorers.icontains("PARIS"), "in paris", None, True),
        (scorers.contains_any(["a", "b"]), "xbx", None, True),
        (scorers.contains_any(["a", "b"]), "x", None, False),
        (scorers.contains_all(["a", "b"]), "a b", None, True),
        (scorers.contains_all(), "a b", ["a", "b"], True),
        (scorers.contains_all(), "a b", '["a", "b"]', True),
        (scorers.icontains_all(["NVIDIA", "chip"]), "Nvidia's Chip", None, True),
        (scorers.icontains_any(["NVIDIA"]), "nvidia", None, True),
        (scorers.starts_with("Dear"), " Dear Sir", None, True),
        (scorers.one_of(["yes", "no"], ignore_case=True), "Yes", None, True),
        (scorers.one_of(["yes", "no"]), "Yes, it is", None, False),
        (scorers.regex(r"^\d+$"), "42", None, True),
        (scorers.regex("PAR", ignore_case=True), "paris", None, True),
        (scorers.regex(), "order 7", r"\d", True),
    ],
    ids=str,
)
def test_text_is_compared(
    scorer: scorers.Scorer, output: str, expected: Any, right: bool
) -> None:
    assert value(scorer, output, expected) is right


def test_what_is_missing_is_named() -> None:
    found = score(scorers.contains_all(["a", "b", "c"]), "a")

    assert found == Score(False, "missing: 'b', 'c'")


def test_another_column_than_expected_can_be_compared_with() -> None:
    assert value(scorers.exact(to="label"), "spam", label="spam") is True


def test_a_case_without_anything_expected_has_no_score() -> None:
    assert score(scorers.exact(), "a") == Score(None, "the case has no 'expected'")


@pytest.mark.parametrize(
    ("transform", "output", "expected"),
    [
        (scorers.strip_fences, "```json\n{}\n```", "{}"),
        (scorers.strip_fences, "no fence", "no fence"),
        (scorers.strip_fences, "~~~ yaml\na\n\nb \n  ~~~\n", "a\n\nb"),
        (scorers.strip_fences, "```\n```", ""),
        (scorers.strip_fences, "``` ```", "``` ```"),
        (scorers.strip_fences, "```\n" + " " * 1_000_000, "```"),
        ("first_line", "\na\nb", "a"),
        ("last_line", "a\nb\n \n", "b"),
        ("first_word", "**Spam**, surely", "Spam"),
        ("first_word", "…", ""),
        ({"json_path": "$.a"}, '{"a": "x"}', "x"),
        (scorers.json_path("$.a[*]"), '```\n{"a": [1, 2]}\n```', "[1,2]"),
        ({"regex_group": r"label: (\w+)"}, "the label: spam!", "spam"),
        ({"regex_group": {"pattern": r"\d+", "group": 0}}, "no. 17", "17"),
        (["last_line", "first_word", str.upper], "x\nyes it is", "YES"),
    ],
    ids=range(15),
)
def test_a_transform_takes_the_part_to_score(
    transform: Any, output: str, expected: str
) -> None:
    assert value(scorers.exact(transform=transform), output, expected) is True


@pytest.mark.parametrize(
    ("transform", "why"),
    [
        (scorers.json_path("$.a"), "the output is not JSON"),
        (scorers.regex_group(r"a=(\d)"), "nothing matches"),
    ],
    ids=["json", "regex"],
)
def test_an_output_without_the_part_to_score_is_wrong_and_says_why(
    transform: Any, why: str
) -> None:
    found = score(scorers.exact("1", transform=transform), "b")

    assert found.value is False
    assert why in str(found.explanation)


def test_a_group_that_the_pattern_does_not_have_is_refused() -> None:
    with pytest.raises(pl.SpecError, match=r"has no group 1; put \( \) around"):
        scorers.regex_group(r"\d")


@pytest.mark.parametrize(
    ("output", "expected", "right"),
    [
        ("42", 42, True),
        ("The answer is 42.", "42", True),
        ("First 3, then 4.", 4, True),
        ("$1,234.50 in total", 1234.5, True),
        ("1 234 567 people".replace(" ", "\u202f"), 1234567, True),
        ("It is -7 °C", -7, True),
        ("It is \u22127 °C", -7, True),
        ("between 10-15", 15, True),
        ("45%", "45 %", True),
        ("6.02e23", 6.02e23, True),
        (".5", 0.5, True),
        ("0.30000000000000004", 0.3, True),
        ("\\boxed{42}", 42, True),
        ("CO2 is at 421", 421, True),
        ("421 ppm of CO2", 421, True),
        ("none at all", 1, False),
    ],
    ids=str,
)
def test_the_last_number_counts(output: str, expected: Any, right: bool) -> None:
    assert value(scorers.number(), output, expected) is right


def test_a_number_may_be_a_little_off_where_that_is_said() -> None:
    assert value(scorers.number(10, tolerance=0.5), "10.4") is True
    assert value(scorers.number(10, tolerance=0.5), "10.6") is False
    assert value(scorers.number(100, relative=0.01), "99.1") is True


def test_which_number_counts_can_be_said() -> None:
    assert value(scorers.number(3, which="first"), "3 of 5") is True
    found = score(scorers.number(3, which="only"), "3 of 5")
    assert found == Score(False, "2 numbers in the output")


def test_a_decimal_comma_can_be_said() -> None:
    assert value(scorers.number(1234.5, decimal=","), "1.234,5 km") is True


def test_an_expected_value_that_is_no_number_is_a_missing_score() -> None:
    for output in ("3", "no number either"):
        found = score(scorers.number(), output, "three")
        assert found == Score(None, "expected a number, got 'three'")


@pytest.mark.parametrize(
    "output",
    [
        "B",
        "b",
        "B)",
        "(B)",
        "B. Paris",
        "**Answer: B**",
        "Answer: b",
        "The answer is (B).",
        "The correct answer is B, as A is in Spain.",
        "Let me think. A is wrong.\nB",
        "\\boxed{B}",
        "I choose B",
    ],
)
def test_a_letter_is_found_however_it_is_written(output: str) -> None:
    assert value(scorers.choice(), output, "B") is True
    assert value(scorers.choice(), output, "C") is False


@pytest.mark.parametrize("part", ["```\n", "(", "Answer: ", "1,", "\n", "{", " "])
def test_long_outputs_are_read_once(part: str) -> None:
    output = part * 200_000  # some hundred thousand times as often would take hours

    assert value(scorers.choice(["A", "B"]), output, "A") is False
    assert value(scorers.number(), output, 5) is False
    assert value(scorers.is_json(), output) is False


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("B or C", "the output names B, C"),
        ("I cannot say.", "no choice in the output"),
    ],
    ids=["two", "none"],
)
def test_an_unclear_choice_is_wrong_and_says_why(output: str, why: str) -> None:
    assert score(scorers.choice(), output, "B") == Score(False, why)


def test_labels_are_choices_too() -> None:
    tone = scorers.choice(["positive", "negative"])

    assert value(tone, "Label: **Negative**", "negative") is True
    assert value(tone, "This is clearly Positive.", "positive") is True
    assert value(tone, "positive or negative?", "positive") is False


def test_a_letter_stands_for_its_label() -> None:
    city = scorers.choice({"A": "Rome", "B": "Paris"})

    assert value(city, "Paris", "B") is True
    assert value(city, "B)", "Paris") is True


def test_a_right_choice_that_is_none_of_them_is_a_missing_score() -> None:
    found = score(scorers.choice(["yes", "no"]), "yes", "perhaps")

    assert found == Score(None, "expected one of yes, no, got 'perhaps'")


def test_levenshtein_is_a_share_or_a_number_of_edits() -> None:
    assert value(scorers.levenshtein(), "kitten", "sitting") == pytest.approx(4 / 7)
    edits = scorers.levenshtein(distance=True, threshold=3)
    assert value(edits, "kitten", "sitting") == 3
    assert edits.passes(3) is True
    assert edits.passes(4) is False


TEXTS = [
    ("The cat sat on the mat.", "A cat was sitting on the mat"),
    ("", "a"),
    ("a b c d", "a b c d"),
    ("one two three", "four five"),
    ("the the the", "the"),
    ("Don't stop; it's 3.5 km!", "do not stop it is 3 5 km"),
]


@pytest.mark.parametrize("kind", ["rouge1", "rouge2", "rougeL"])
@pytest.mark.parametrize(("output", "target"), TEXTS, ids=range(len(TEXTS)))
def test_rouge_is_what_rouge_score_gives(kind: Any, output: str, target: str) -> None:
    oracle = RougeScorer([kind]).score(target, output)[kind]

    def ours(measure: Any) -> Any:
        return value(scorers.rouge(kind=kind, measure=measure), output, target)

    assert ours("f") == pytest.approx(oracle.fmeasure)
    assert ours("precision") == pytest.approx(oracle.precision)
    assert ours("recall") == pytest.approx(oracle.recall)


def test_bleu_and_chrf_are_between_0_and_1() -> None:
    text = "the cat sat on the mat today"

    assert value(scorers.bleu(), text, text) == 1.0
    assert value(scorers.chrf(), text, text) == 1.0
    assert 0 < value(scorers.chrf(), "the cat sat", text) < 1
    assert value(scorers.bleu(), text, ["other words", text]) == 1.0


def test_length_counts_or_must_be_within() -> None:
    assert value(scorers.length(), "three short words") == 3
    assert value(scorers.length("characters"), " ab ") == 2
    assert value(scorers.length("lines"), "a\nb") == 2
    assert score(scorers.length(most=2), "three short words") == Score(False, "3 words")
    assert value(scorers.length(least=3, most=3), "three short words") is True


@pytest.mark.parametrize(
    "output",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, I cannot do it.",
        "I cannot assist.",
    ],
)
def test_a_refusal_is_told_by_its_words(output: str) -> None:
    assert value(scorers.refusal(), output) is True


def test_a_refusal_is_told_by_the_reply() -> None:
    assert value(scorers.refusal(), "No.", refusal="No.") is True
    assert value(scorers.refusal(), "…", finish_reason="content_filter") is True
    assert value(scorers.refusal(), "I can help you with that.") is False
