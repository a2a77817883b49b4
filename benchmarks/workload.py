"""The workload: one grid of 72 variants over as many cases as asked for."""

from collections.abc import Iterator
from itertools import product

WITHOUT_TABLE = ("plan", "enter", "fill")
"""The tasks of a peer that do not give the table of all trials."""

MODELS = ["mock-1", "mock-2"]
PROMPTS = {
    "plain": "Which team should answer this ticket?\n\n{{text}}",
    "steps": (
        "Read the ticket below, list what the customer asks for, step by step, then"
        " name the one team that should answer it.\n\nTicket:\n{{text}}"
    ),
}
SYSTEMS = {
    "none": None,
    "agent": "You route support tickets. Be brief, and never guess at an order number.",
}
TEMPERATURES = [0, 0.5, 1.0]
MAX_TOKENS = [16, 64, 256]
VARIANTS = (
    len(MODELS) * len(PROMPTS) * len(SYSTEMS) * len(TEMPERATURES) * len(MAX_TOKENS)
)


def cases(trials: int) -> list[dict[str, str]]:
    """The dataset that makes a grid of so many trials, a multiple of `VARIANTS`."""
    return [
        {
            "id": str(number),
            "text": f"Ticket {number}: "
            + "the parcel came late and one part broke. " * 6,
        }
        for number in range(trials // VARIANTS)
    ]


def trials(dataset: list[dict[str, str]]) -> Iterator[tuple[dict, dict]]:
    """The labels and the request body of each trial, for peers that have no grid."""
    for model, prompt, system, temperature, max_tokens, case in product(
        MODELS, PROMPTS, SYSTEMS, TEMPERATURES, MAX_TOKENS, dataset
    ):
        messages = [
            {
                "role": "user",
                "content": PROMPTS[prompt].replace("{{text}}", case["text"]),
            }
        ]
        if (instructions := SYSTEMS[system]) is not None:
            messages.insert(0, {"role": "system", "content": instructions})
        labels = {
            "model": model,
            "prompt": prompt,
            "system": system,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "case": case["id"],
            "text": case["text"],
        }
        body = {
            "model": model,
            "messages": messages,
            "temperature": temperature,
            "max_tokens": max_tokens,
        }
        yield labels, body
