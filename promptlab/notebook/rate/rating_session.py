"""Rating sessions: one rater's way through the pairs, a message at a time.

A message asks for something; the answer is what is shown next. Before the reveal no
answer names a variant or a parameter, or which output is whose. All messages are
plain JSON:

    {"ask": "show"}                                     what is shown now
    {"ask": "vote", "turn": 3, "choice": "left"}        ... "right", "tie", "skip"
    {"ask": "undo", "turn": 4}                          the last vote
    {"ask": "reopen", "turn": 5}                        all that was skipped
    {"ask": "reveal", "turn": 6, "early": true}         names and tally

`turn` is the number in the last answer. A second press of a key has an old number, and
is answered with what is shown now.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast, get_args

import pandas as pd

from promptlab.errors import CacheError
from promptlab.notebook.rate.pairs import Pair, PairQueue, queue_of
from promptlab.notebook.rate.votes import Choice, Vote, VoteStore
from promptlab.notebook.trial_table import TrialTable


class RatingSession:
    """The votes of one rater on a queue of pairs; safe to use from several threads."""

    def __init__(
        self,
        queue: PairQueue,
        store: VoteStore,
        *,
        rater: str,
        seed: int,
        votes: Iterable[Vote] = (),
    ) -> None:
        """Continues after the rater's earlier votes on these pairs."""
        self.queue = queue
        self.revealed = False
        self._store = store
        self._rater = rater
        self._seed = seed
        self._lock = threading.RLock()
        self._turn = 0
        self._numbers = {p.key: n for n, p in enumerate(queue.pairs) if not p.identical}
        self._votes = {vote.pair: vote for vote in votes if vote.pair in self._numbers}
        self._at = 0
        """The index of the first pair without a vote that is not identical."""
        self._go_on()

    @classmethod
    def of(
        cls,
        trials: TrialTable,
        by: str | Sequence[str] | None,
        store: VoteStore,
        *,
        rater: str = "",
        seed: int | None = None,
    ) -> RatingSession:
        """The session of a rater on the pairs of a table, with the votes so far.

        The default seed is that of the last vote, so that order and sides stay.

        Raises:
            SpecError: the table cannot be compared so; see `queue_of`.
            CacheError: the votes cannot be read.
        """
        own = [vote for vote in store.standing() if vote.rater == rater]
        if seed is None:
            seed = own[-1].seed if own else secrets.randbelow(2**32)
        queue = queue_of(trials, by, seed)
        return cls(queue, store, rater=rater, seed=seed, votes=own)

    @property
    def settled(self) -> int:
        """How many pairs were voted on or skipped."""
        return len(self._votes)

    @property
    def skipped(self) -> int:
        """How many pairs were skipped."""
        return sum(vote.choice == "skip" for vote in self._votes.values())

    @property
    def open(self) -> int:
        """How many pairs still need a vote."""
        return self.queue.to_rate - self.settled

    @property
    def votes(self) -> list[Vote]:
        """The votes, in the order they were cast."""
        with self._lock:
            return list(self._votes.values())

    def tally(self) -> pd.DataFrame:
        """The pairs, wins, ties and losses of each variant.

        Identical outputs are ties without a vote; they count as far as the rater has
        come in the order of the pairs. `share` is the share of pairs won, from 0 to 1.
        """
        counts: Counter[tuple[str, str]] = Counter()
        with self._lock:
            for vote in self._votes.values():
                for variant in (vote.left, vote.right):
                    counts[variant, _end(vote, variant)] += 1
            for pair in itertools.islice(self.queue.pairs, self._at):
                if pair.identical:
                    for variant in (pair.left, pair.right):
                        counts.update([(variant, "ties"), (variant, "identical")])
        variants = self.queue.variants
        index = pd.Index(variants, name=" · ".join(self.queue.by))
        ends = {e: [counts[v, e] for v in variants] for e in ("wins", "ties", "losses")}
        table = pd.DataFrame(ends, index=index, dtype="int64")
        pairs = table.sum(axis="columns")
        table.insert(0, "pairs", pairs)
        table["identical"] = [counts[variant, "identical"] for variant in variants]
        table["share"] = table["wins"] / pairs.where(pairs > 0)
        return table

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Does what a message asks; the answer is what was done and is shown next."""
        with self._lock:
            done = None
            try:
                if message.get("turn") == self._turn and not self.revealed:
                    done = self._do(message)
            except CacheError as error:
                return {"show": "not stored", "turn": self._turn, "why": str(error)}
            return {"done": done, **self._shown()}

    def _do(self, message: Mapping[str, Any]) -> str | None:
        """What was done, in a word; None for nothing."""
        asked, choice = message.get("ask"), message.get("choice")
        if asked == "vote" and choice in get_args(Choice) and self.open:
            self._vote(cast(Choice, choice))
            return str(choice)
        if asked == "undo" and self._votes:
            self._undo(next(reversed(self._votes)))
            return "undo"
        if asked == "reopen" and self.skipped:
            self._reopen()
            return "reopen"
        if asked == "reveal" and (not self.open or message.get("early") is True):
            self.revealed = True
            self._turn += 1
            return "reveal"
        return None

    def _vote(self, choice: Choice) -> None:
        pair = self.queue.pairs[self._at]
        vote = Vote(
            experiment=self._store.name,
            pair=pair.key,
            by=" · ".join(self.queue.by),
            parameters=pair.parameters,
            case=pair.case,
            repeat=pair.repeat,
            left=pair.left,
            right=pair.right,
            choice=choice,
            rater=self._rater,
            seed=self._seed,
            when_s=time.time(),
        )
        self._store.cast(vote)
        self._votes[pair.key] = vote
        self._turn += 1
        self._go_on()

    def _reopen(self) -> None:
        skipped = [p for p, vote in self._votes.items() if vote.choice == "skip"]
        for pair in skipped:
            self._undo(pair)

    def _undo(self, pair: str) -> None:
        self._store.take_back(pair, self._rater)
        del self._votes[pair]
        self._turn += 1
        self._at = min(self._at, self._numbers[pair])

    def _go_on(self) -> None:
        pairs = self.queue.pairs
        while self._at < len(pairs) and (
            pairs[self._at].identical or pairs[self._at].key in self._votes
        ):
            self._at += 1

    def _shown(self) -> dict[str, Any]:
        state = {
            "turn": self._turn,
            "settled": self.settled,
            "total": self.queue.to_rate,
            "skipped": self.skipped,
            "identical": self.queue.identical,
            "left_out": self.queue.left_out,
        }
        if self.revealed:
            return {"show": "tally", **state, **self._tally_shown()}
        if not self.queue.to_rate:
            return {"show": "nothing", **state}
        if not self.open:
            return {"show": "finished", **state}
        return {"show": "pair", **state, **self._pair_shown(self.queue.pairs[self._at])}

    def _pair_shown(self, pair: Pair) -> dict[str, Any]:
        return {
            "case": pair.case,
            "inputs": self.queue.question(pair),
            "expected": self.queue.expected(pair),
            "left": pair.left_output,
            "right": pair.right_output,
        }

    def _tally_shown(self) -> dict[str, Any]:
        table = self.tally()
        counts = table.drop(columns="share").reset_index(names="variant")
        return {
            "by": table.index.name,
            "tally": cast(list[Any], counts.to_dict(orient="records")),
        }


def _end(vote: Vote, variant: str) -> str:
    """How a vote counts for one of its variants."""
    if vote.choice in ("tie", "skip"):
        return {"tie": "ties", "skip": "skips"}[vote.choice]
    return "wins" if vote.better == variant else "losses"
