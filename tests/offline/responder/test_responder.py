"""The responder: its answers come from the request, and follow plain instructions."""

import re
from collections.abc import Iterator
from typing import Any

import openai
import orjson
import pytest

from promptlab.offline.server import tokens

from ..conftest import Ask, Hello

TEAMS = "Teams: billing, technical, shipping, account, sales"
ONE_WORD = "Answer with one word: the name of the team."
FACTS = (
    "The museum opens at ten and closes at five. The café sells soup and cake. "
    "Tickets cost 12 euros. Dogs must stay outside."
)
BRIEF = (
    "Write a post of at most 2 sentences for students.\n\n"
    "Facts: Brew One makes coffee in 30 seconds. It fits on a small desk. "
    "It costs 49 euros. It comes in red and in black."
)


def texts(client: openai.OpenAI, hello: Hello, **parameters: Any) -> list[str]:
    """Ten answers to one question, one after the other."""
    question = (
        f"Which team should answer? {TEAMS}\n\nTicket: My parcel invoice is wrong."
    )
    messages = [{"role": "user", "content": question}]
    return [
        hello(client, messages=messages, **parameters).choices[0].message.content
        for _ in range(10)
    ]


def test_temperature_0_repeats_itself(client: openai.OpenAI, hello: Hello) -> None:
    assert len(set(texts(client, hello, temperature=0))) == 1


def test_a_seed_reproduces(client: openai.OpenAI, hello: Hello) -> None:
    one = texts(client, hello, temperature=2, seed=1)
    other = {texts(client, hello, temperature=2, seed=seed)[0] for seed in range(9)}

    assert len(set(one)) == 1
    assert len(other) > 1


def test_temperature_varies_answers(client: openai.OpenAI, hello: Hello) -> None:
    assert len(set(texts(client, hello, temperature=2))) > 1


def test_choices_of_one_request_vary_too(client: openai.OpenAI, hello: Hello) -> None:
    question = [{"role": "user", "content": f"Which team? {TEAMS}"}]
    reply = hello(client, messages=question, temperature=2, n=30, seed=5)

    assert len({choice.message.content for choice in reply.choices}) > 3


def test_low_top_p_keeps_the_likeliest(client: openai.OpenAI, hello: Hello) -> None:
    assert len(set(texts(client, hello, temperature=2, top_p=0.01))) == 1


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_max_tokens_cuts(client: openai.OpenAI, hello: Hello, name: str) -> None:
    messages = [{"role": "user", "content": f"{FACTS}\n\nWhen does the museum open?"}]

    whole = hello(client, messages=messages, temperature=0)
    cut = hello(client, messages=messages, temperature=0, **{name: 3})

    assert cut.choices[0].finish_reason == "length"
    assert cut.usage.completion_tokens == 3
    assert tokens.count(cut.choices[0].message.content) == 3
    assert whole.choices[0].message.content.startswith(cut.choices[0].message.content)
    assert whole.choices[0].finish_reason == "stop"


def test_stop_ends_the_text_before_itself(ask: Ask) -> None:
    question = f"{FACTS}\n\nWhen does the museum open?"

    assert ask(question, stop=" closes").endswith("and")


@pytest.mark.parametrize(
    ("ticket", "team"),
    [
        ("I was charged twice this month, please refund one payment.", "billing"),
        ("The app crashes with an error when I open the settings.", "technical"),
        ("Where is my parcel? Tracking has not moved for a week.", "shipping"),
        ("I forgot my password and cannot log in.", "account"),
        ("We consider buying licences for 40 people. Is there a discount?", "sales"),
    ],
)
@pytest.mark.parametrize(
    "prompt",
    [
        "Which team should answer?\n\nTicket:\n{ticket}\n\n{teams}\n\n{one_word}",
        "{teams}\n\n<ticket>\n{ticket}\n</ticket>\n\nWhich team? {one_word}",
        "Choose one of: billing, technical, shipping, account or sales.\n"
        "Reply with just the label.\n\n{ticket}",
        "Which team should answer?\n- billing\n- technical\n- shipping\n- account\n"
        "- sales\n\nMessage: {ticket}\n\n{one_word}",
    ],
    ids=["named list", "tags", "one of", "bullets"],
)
def test_label_is_found(ask: Ask, prompt: str, ticket: str, team: str) -> None:
    assert team == ask(prompt.format(ticket=ticket, teams=TEAMS, one_word=ONE_WORD))


def test_definitions_decide_between_names_that_say_nothing(ask: Ask) -> None:
    prompt = (
        "Which queue takes this?\n\nQueues:\n"
        "- red: invoices, refunds and payments\n- blue: parcels and customs\n\n"
        "Ticket: {}\n\nAnswer with one word."
    )

    assert ask(prompt.format("The customs office keeps my parcels.")) == "blue"
    assert ask(prompt.format("My refunds have not come.")) == "red"


def test_examples_in_the_conversation_decide(ask: Ask) -> None:
    examples = (
        "the soup was cold", "kitchen",
        "our room was dirty", "rooms",
        "the bread was old", "kitchen",
    )  # fmt: skip

    assert ask(*examples, "the room smells") == "rooms"
    assert ask(*examples, "cold soup again") == "kitchen"


def test_examples_in_the_prompt_decide(ask: Ask) -> None:
    prompt = (
        "Ticket: the soup was cold\nGroup: alpha\n\n"
        "Ticket: our room was dirty\nGroup: beta\n\nTicket: {}\nGroup:"
    )

    assert ask(prompt.format("a dirty room")) == "beta"
    assert ask(prompt.format("cold soup")) == "alpha"


def test_prompts_make_a_difference(ask: Ask) -> None:
    question = f"Which team should answer? {TEAMS}\n\nTicket: I want a refund."

    free, word, steps = (
        ask(question + end) for end in ("", "\n\n" + ONE_WORD, "\n\nExplain why.")
    )

    assert word == "billing"
    assert word in free != word
    assert "I want a refund" in steps
    assert steps.endswith("Answer: billing")


def test_system_messages_make_a_difference(ask: Ask) -> None:
    question = f"{FACTS}\n\nWhen does the museum open?"
    systems = [None, "You are a museum guide.", "Answer politely.", "Use upper case."]

    answers = [ask(question, system=system) for system in systems]

    assert len(set(answers)) == len(systems)
    assert all("opens at ten" in answer.lower() for answer in answers)


def test_best_sentence_answers_a_question(ask: Ask) -> None:
    assert ask("How much is a ticket?", system=FACTS) == "Tickets cost 12 euros."
    assert ask(f"{FACTS}\n\nWhere do dogs stay?") == "Dogs must stay outside."


def test_what_is_not_there_is_not_made_up(ask: Ask) -> None:
    assert "does not say" in ask("Who painted the ceiling of the chapel?")


def test_follow_up_refers_back(ask: Ask) -> None:
    facts = (
        "The library lends books for four weeks. Renewal costs nothing. "
        "The swimming pool is closed on Mondays."
    )
    first = "How long does the library lend books?"

    reply = ask(first, system=facts)
    earlier = ask("My name is Ana.", "Noted.", "What is my name?")

    assert reply == "The library lends books for four weeks."
    assert ask(first, reply, "And the pool?", system=facts) == (
        "The swimming pool is closed on Mondays."
    )
    assert ask(first, reply, "And after that?", system=facts) == (
        "Renewal costs nothing."
    )
    assert "Ana" in earlier


def sentences(text: str) -> Iterator[str]:
    return filter(None, re.split(r"(?<=[.!?])\s+", text))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_number_of_sentences_is_kept(ask: Ask, number: int) -> None:
    asked = f"Summarise in {number} sentences:\n\n{FACTS}"

    assert len(list(sentences(ask(asked)))) == number


def test_lists_are_lists(ask: Ask) -> None:
    three = ask(f"List three facts as bullet points.\n\n{FACTS}")
    ranked = ask(f"Rank the teams for this ticket. {TEAMS}\n\nTicket: refund me")

    assert [line[:2] for line in three.splitlines()] == ["- "] * 3
    assert ranked.startswith("1. billing\n2. ")
    assert len(ranked.splitlines()) == 5


def test_json_has_the_keys_named(ask: Ask) -> None:
    asked = f"Return JSON with keys team and reason. {TEAMS}\n\nTicket: refund me"

    assert orjson.loads(ask(asked)) == {"team": "billing", "reason": "refund me"}


def test_json_object_mode_gives_an_object(ask: Ask) -> None:
    answer = ask("Hello", response_format={"type": "json_object"})

    assert isinstance(orjson.loads(answer), dict)


def test_schema_is_met(ask: Ask) -> None:
    schema = {
        "type": "object",
        "properties": {
            "team": {"type": "string", "enum": ["billing", "shipping"]},
            "urgency": {"type": "integer", "minimum": 1, "maximum": 5},
            "order": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "refund": {"type": "boolean"},
            "customer": {"$ref": "#/$defs/customer"},
            "note": {"anyOf": [{"type": "string", "maxLength": 10}, {"type": "null"}]},
        },
        "$defs": {
            "customer": {
                "type": "object",
                "properties": {"email": {"type": "string", "format": "email"}},
            }
        },
    }

    answer = orjson.loads(
        ask(
            "Ticket: Please refund order 20418. Write to ana@example.org.",
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "ticket", "schema": schema, "strict": True},
            },
        )
    )

    assert answer["team"] == "billing"
    assert 1 <= answer["urgency"] <= 5
    assert answer["order"] == 20418
    assert len(answer["tags"]) >= 2
    assert isinstance(answer["refund"], bool)
    assert answer["customer"] == {"email": "ana@example.org"}
    assert len(answer["note"]) <= 10


def test_text_from_a_brief_keeps_to_its_facts_and_length(ask: Ask) -> None:
    text = ask(BRIEF)

    assert len(list(sentences(text))) <= 2
    assert all(sentence in BRIEF for sentence in sentences(text))


def test_text_from_a_brief_varies_with_temperature(
    client: openai.OpenAI, hello: Hello
) -> None:
    messages = [{"role": "user", "content": BRIEF}]
    reply = hello(client, messages=messages, temperature=1.5, seed=1, n=20)

    assert len({choice.message.content for choice in reply.choices}) > 5


def test_marks_follow_the_tone_of_the_text(ask: Ask) -> None:
    rate = "Rate the review from 1 to 5. Answer with only the number.\n\nReview: {}"

    assert ask(rate.format("Wonderful, I love it, the best I had.")) == "5"
    assert ask(rate.format("Terrible, useless and broken.")) == "1"


def test_yes_or_no_depends_on_the_facts(ask: Ask) -> None:
    asked = "{} Answer yes or no.\n\nFacts: " + FACTS

    assert ask(asked.format("Does the café sell soup?")) == "Yes."
    assert ask(asked.format("Is the parking garage heated?")) == "No."


def test_sizes_of_models_differ(ask: Ask) -> None:
    facts = " ".join(f"Fact {n} is about number {n}." for n in range(40))

    small, large = (
        ask("What is fact 3 about?", system=facts, model=f"offline/{size}")
        for size in ("small", "large")
    )

    assert large == "Fact 3 is about number 3."
    assert small != large
