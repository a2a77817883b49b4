"""Log probabilities: how likely the responder found what it answered.

It does not draw tokens but whole labels, passages and phrases. So the first token of an
answer carries the logarithm of the likelihood of all that was drawn for it, and the
others, which follow from it, carry 0. The likelihoods are those at temperature 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from promptlab.offline.responder.sampling import Draw
from promptlab.offline.server import tokens


@dataclass(frozen=True)
class TokenLogprob:
    """A token, and what could have stood in its place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]
    """The likeliest tokens with their logprobs, this one among them."""


def token_logprobs(
    pieces: Sequence[str], draws: Sequence[Draw], top: int
) -> tuple[TokenLogprob, ...]:
    """The tokens of an answer, each with its `top` likeliest alternatives."""
    if not pieces:
        return ()
    total = sum(math.log(draw.probability) for draw in draws)
    ranked = _alternatives(pieces[0], total, draws)[:top]
    first = TokenLogprob(pieces[0], total, tuple(ranked))
    rest = (
        TokenLogprob(piece, 0.0, ((piece, 0.0),) if top else ()) for piece in pieces[1:]
    )
    return (first, *rest)


def _alternatives(
    token: str, logprob: float, draws: Sequence[Draw]
) -> list[tuple[str, float]]:
    """A first token and those that the first draw could have begun with instead, the
    likeliest first; only itself where the answer does not begin with what was drawn."""
    found = {token: math.exp(logprob)}
    if draws and _first(draws[0].text) == token:
        for text, probability in draws[0].others:
            if (other := _first(text)) and other != token:
                found[other] = found.get(other, 0.0) + probability
    ranked = sorted(found.items(), key=lambda item: item[1], reverse=True)
    return [(text, math.log(p)) for text, p in ranked if p > 0]


def _first(text: str) -> str:
    return next(iter(tokens.split(text)), "")
