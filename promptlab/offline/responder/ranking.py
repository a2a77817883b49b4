"""Ranking: how well choices and passages fit what is asked, by the words they share."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from promptlab.offline.responder.lexicon import WORDS, stems, topics, words
from promptlab.offline.responder.parsing import Choices
from promptlab.offline.responder.sampling import Scored
from promptlab.offline.responder.task import Task

EMBEDDING_MODEL = "offline/embedding"
"""The one embedding model."""

_DOUBT = 0.1
"""Added to the best raw score before scaling: little evidence leaves doubt."""
_CONTEXT = 0.2
"""Weight of the earlier question, beside a question that matches."""
_ONWARD = re.compile(r"\b(?:next|after(?:wards)?|and then|comes then)\b", re.IGNORECASE)

Vector = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Model:
    """How much a model reads, and how sure it is of what it finds."""

    evidence: int
    """Sentences it weighs: the last ones of all material, the first ones of a text
    that is to be sorted or matched."""
    association: float
    """Weight of related words, where a word itself weighs 1."""
    sharpness: float
    """Factor on scores before the softmax: higher is surer at one temperature."""


MODELS = {
    "offline/small": Model(evidence=12, association=0.25, sharpness=6.0),
    "offline/large": Model(evidence=200, association=0.6, sharpness=9.0),
}
"""The chat models by name."""


@dataclass(frozen=True)
class Ranking:
    """The scores of one task's choices and passages, as one model sees them."""

    task: Task
    model: Model

    @cached_property
    def choices(self) -> list[Scored[str]]:
        """The task's labels in the order listed, as `scored` scores them."""
        return self.scored(self.task.choices)

    def scored(self, choices: Choices) -> list[Scored[str]]:
        """Each label, with how well it fits the subject, from 0 to 1."""
        if {label.lower() for label in choices} in ({"yes", "no"}, {"true", "false"}):
            best = self.passages[0][0] if self.passages else ""
            denied = not WORDS["negations"].isdisjoint(words(best))
            yes = 1 - self.covered if denied else self.covered
            return [
                (c, yes if c.lower() in ("yes", "true") else 1 - yes) for c in choices
            ]
        subject = self._vector(" ".join(self._subject))
        raw = {c: _fit(subject, self._vector(f"{c} {choices[c]}")) for c in choices}
        for text, label in self.task.examples:
            if label in raw:
                raw[label] += _fit(subject, self._vector(text))
        return _scaled(raw.items())

    def marks(self, low: int, high: int) -> list[Scored[int]]:
        """Each mark from `low` to `high`, best where the subject's merit puts it.

        Merit is good against bad words; without any, agreement with the question.
        """
        found = Counter(t for s in stems(" ".join(self._subject)) for t in topics(s))
        good, bad = found["good"], found["bad"]
        merit = good / (good + bad) if good != bad else self.covered
        aim, third = low + merit * (high - low), max(1.0, (high - low) / 3)
        return [(mark, 1 - abs(mark - aim) / third) for mark in range(low, high + 1)]

    @cached_property
    def passages(self) -> list[Scored[str]]:
        """Each passage the model reads, the best answer first, scored from 0 to 1."""
        asked, earlier = map(self._vector, (self.task.question, self.task.earlier))
        raw = {text: _fit(asked, found) for text, found in self._vectors.items()}
        weight = _CONTEXT if any(raw.values()) else 1.0
        for text, found in self._vectors.items():
            raw[text] += weight * _fit(earlier, found)
            raw[text] *= self.task.passages[text]
        texts = list(raw)
        used = [index for index, text in enumerate(texts, 1) if text in self.task.reply]
        if used and used[-1] < len(texts) and _ONWARD.search(self.task.question):
            # What comes after the last reply is asked for.
            raw[texts[used[-1]]] += max(raw.values()) + 0.5
        return _best_first(raw)

    @cached_property
    def central(self) -> list[Scored[str]]:
        """Each passage, best first, by how much of all the material it repeats."""
        whole = self._vector(" ".join(self._vectors))
        return _best_first(
            {t: _fit(whole, found) for t, found in self._vectors.items()}
        )

    @cached_property
    def keywords(self) -> list[Scored[str]]:
        """The words of the subject that set it apart, best first."""
        text = " ".join(self._subject) or self.task.question
        shown = {stem: word for word in words(text) for stem in stems(word)}
        vector = self._vector(text)
        return _best_first({shown[s]: vector[s] for s in vector if s in shown})

    @cached_property
    def covered(self) -> float:
        """The share of the question's words that the best passage contains, 0 to 1."""
        query = {s: self._rarity.get(s, 1.0) for s in stems(self.task.question)}
        found = stems(self.passages[0][0]) if self.passages else []
        shared = sum(weight for stem, weight in query.items() if stem in found)
        return shared / sum(query.values()) if query else 0.0

    def clue(self, label: str) -> str:
        """The sentence of the subject that speaks most for a label; "" if none does."""
        about = self._vector(f"{label} {self.task.choices.get(label, '')}")
        scored = [(_fit(self._vector(text), about), text) for text in self._subject]
        best, sentence = max(scored, default=(0.0, ""), key=lambda pair: pair[0])
        return sentence if best > 0 else ""

    @property
    def _subject(self) -> list[str]:
        return self.task.subject[: self.model.evidence]

    @cached_property
    def _vectors(self) -> Mapping[str, Vector]:
        """The passages the model reads, oldest first."""
        texts = list(self.task.passages)[-self.model.evidence :]
        return {text: self._vector(text) for text in texts}

    @cached_property
    def _rarity(self) -> Mapping[str, float]:
        """How telling a stem or topic is: high when few parts of a request have it."""
        texts = list(self.task.passages)[-self.model.evidence :]
        texts += [f"{label} {text}" for label, text in self.task.choices.items()]
        seen: Counter[str] = Counter()
        for text in texts:
            found = set(stems(text))
            seen.update(found | {f"#{t}" for stem in found for t in topics(stem)})
        return {stem: math.log(1 + (len(texts) + 1) / n) for stem, n in seen.items()}

    def _vector(self, text: str) -> Vector:
        """Stems, and at the model's weight their topics, weighted by rarity."""
        vector: defaultdict[str, float] = defaultdict(float)
        for stem, times in Counter(stems(text)).items():
            vector[stem] += math.log1p(times) * self._rarity.get(stem, 1.0)
            for topic in (f"#{topic}" for topic in topics(stem)):
                weight = self.model.association * self._rarity.get(topic, 1.0)
                vector[topic] += math.log1p(times) * weight
        return vector


def _fit(query: Vector, found: Vector) -> float:
    """How much a query speaks of what was found."""
    shared = sum(query[stem] * found[stem] for stem in query if stem in found)
    return shared / (math.hypot(*found.values()) + 1)


def _scaled(raw: Iterable[Scored[str]]) -> list[Scored[str]]:
    """Scores from 0 to 1, a little below 1 even for the best."""
    raw = list(raw)
    most = max([0.0, *(score for _, score in raw)]) + _DOUBT
    return [(text, max(0.0, score) / most) for text, score in raw]


def _best_first(raw: Mapping[str, float]) -> list[Scored[str]]:
    return sorted(_scaled(raw.items()), key=lambda scored: -scored[1])
