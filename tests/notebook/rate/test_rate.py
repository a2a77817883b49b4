"""`rate`: the widget around it, its votes and its tally."""

from __future__ import annotations

import json
from typing import Any

import pytest
from results.making import experiment, results

import promptlab as pl
from promptlab.notebook.rate.rate import rate
from promptlab.notebook.rate.votes import VoteStore, votes
from promptlab.notebook.rate.widget import Rating
from promptlab.store.home import home


def made(cases: int = 4, name: str = "letters", **more: Any) -> pl.Results:
    asked = experiment(
        [{"t": f"text {n}"} for n in range(cases)],
        prompt={"<b>Alpha</b>": "{{t}}", "Beta-name": "Beta: {{t}}"},
        **more,
    )
    return results(asked, [f"answer {n}" for n in range(len(asked))])


def vote(rating: Rating, *choices: str) -> dict[str, Any]:
    """What the browser would send, through the kernel's door for it."""
    answer = rating.answer({"ask": "show"})
    for choice in choices:
        message = {"ask": "vote", "turn": answer["turn"], "choice": choice}
        answer = rating.answer(message)
    return answer


def reveal(rating: Rating) -> dict[str, Any]:
    turn = rating.answer({"ask": "show"})["turn"]
    return rating.answer({"ask": "reveal", "turn": turn, "early": True})


def static(rating: Rating) -> str:
    data, _ = rating._repr_mimebundle_()
    text: str = data["text/html"]
    return text


def test_the_widget_says_how_far_it_is() -> None:
    rating = rate(made())

    assert repr(rating) == "Rating(0 of 4 pairs voted)"
    vote(rating, "left", "skip", "tie")
    assert repr(rating) == "Rating(2 of 4 pairs voted, 1 skipped)"


def test_by_is_the_first_parameter_that_varies() -> None:
    rating = rate(made(temperature=[0, 1]))
    vote(rating, "left")

    assert rating.votes["by"].tolist() == ["prompt"]


def test_votes_and_tally_are_tables() -> None:
    rating = rate(made())
    vote(rating, "left", "right", "tie")

    assert rating.votes.equals(votes("letters"))
    assert rating.tally.index.tolist() == ["<b>Alpha</b>", "Beta-name"]
    assert rating.tally.columns.tolist() == [
        *("pairs", "wins", "ties", "losses", "identical", "share")
    ]


def test_showing_it_writes_nothing() -> None:
    static(rate(made()))

    assert not home().exists()


def test_a_second_run_of_the_cell_goes_on_with_the_same_order_and_sides() -> None:
    first = rate(made(cases=30))
    seen = vote(first, "left", "right", "tie")

    again = vote(rate(made(cases=30)))

    assert {**again, "turn": 3, "done": "tie"} == seen


def test_a_seed_that_is_given_is_taken() -> None:
    def order(seed: int) -> list[Any]:
        rating = rate(made(cases=30), name=f"with seed {seed}", seed=seed)
        return [vote(rating, "tie")["case"] for _ in range(10)]

    assert order(1) != order(2)
    assert VoteStore("with seed 1").standing()[0].seed == 1


def test_raters_get_orders_of_their_own_and_keep_them() -> None:
    given = made(cases=30)
    for rater in ("Ana", "Ben"):
        vote(rate(given, rater=rater), "left")

    seeds = {v.rater: v.seed for v in VoteStore("letters").standing()}

    assert len(set(seeds.values())) == 2
    vote(rate(given, rater="Ana"), "left")
    assert VoteStore("letters").standing()[-1].seed == seeds["Ana"]


def test_a_table_can_be_rated_and_named() -> None:
    vote(rate(made().table, "prompt"), "left")
    vote(rate(made().table, "prompt", name="mine"), "left")

    assert votes()["experiment"].tolist() == ["table", "mine"]


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(pl.SpecError, match="expected a name"):
        rate(made(), name="")


def test_neither_the_widgets_state_nor_its_static_view_holds_a_name() -> None:
    rating = rate(made())
    vote(rating, "left")
    state = {k: v for k, v in rating.get_state().items() if k not in ("_esm", "_css")}

    for text in (json.dumps(state, default=str), static(rating), repr(rating)):
        for secret in ("Alpha", "Beta", "prompt", "answer", "text 1", "letters"):
            assert secret not in text.replace("promptlab", "")


def test_the_static_view_says_how_far_and_after_the_reveal_the_tally() -> None:
    rating = rate(made())
    vote(rating, "tie")
    assert "1 of 4 pairs voted" in static(rating)

    reveal(rating)

    assert "&lt;b&gt;Alpha&lt;/b&gt;" in static(rating)
    assert "<b>Alpha" not in static(rating)
    assert "<script" not in static(rating)


def test_the_script_asks_for_nothing_outside_and_reads_no_text_as_html() -> None:
    script = rate(made()).get_state()["_esm"]

    assert "http" not in script
    assert "import" not in script
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
        assert way not in script
