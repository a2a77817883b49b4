"""Evidence: how well options and passages fit what is asked, by shared words."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from promptlab.offline.responder.choices import Option
from promptlab.offline.responder.keywords import NEGATIONS
from promptlab.offline.responder.models import Model
from promptlab.offline.responder.stemming import stems, topics, words
from promptlab.offline.responder.task import Passage, Task

_DOUBT = 0.1
"""Added to the best raw score before scaling: little evidence leaves doubt."""
_CONTEXT = 0.2
"""Weight of the earlier question and of remarks, beside a question that matches."""
_ONWARD_BONUS = 0.5
"""Added to the passage after the one told last, when asked what comes next."""
_ONWARD = re.compile(r"\b(?:next|after(?:wards)?|and then|comes then)\b", re.IGNORECASE)
_AVERSION = 0.2
"""Weight of a sentence of dislike against the options it speaks of."""
_DISLIKES = re.compile(
    r"\b(?:dislike|hate|avoid|skip|gave up|give up|fell asleep|bored|boring|frighten|"
    r"put \w+ ?\w* aside|walked out|stopped|tired of|left|too|unsubscrib|rather not)",
    re.IGNORECASE,
)

Vector = Mapping[str, float]


@dataclass(frozen=True)
class Evidence:
    """The scores of one task's options and passages, as one model sees them."""

    task: Task
    model: Model

    @cached_property
    def options(self) -> list[tuple[Option, float]]:
        """The task's options in the order listed, as `scored` scores them."""
        return self.scored(self.task.options)

    def scored(self, options: Sequence[Option]) -> list[tuple[Option, float]]:
        """Each option, with how well it fits the subject, from 0 to 1."""
        if _is_yes_no(options):
            return self._yes_no(options)
        raw = [
            self._fit(self._wanted, option) + self._vote(self._wanted, option)
            for option in options
        ]
        most = max([0.0, *raw]) + _DOUBT
        return [
            (option, max(0.0, score) / most)
            for option, score in zip(options, raw, strict=True)
        ]

    def marks(self, low: int, high: int) -> list[tuple[int, float]]:
        """Each mark from `low` to `high`, best where the subject's merit puts it.

        Merit is good against bad words; without any, agreement with the question.
        """
        merit = (1 + self.mood) / 2 if self.mood else self.covered
        aim, third = low + merit * (high - low), max(1.0, (high - low) / 3)
        return [(mark, 1 - abs(mark - aim) / third) for mark in range(low, high + 1)]

    @cached_property
    def passages(self) -> list[tuple[Passage, float]]:
        """Each passage the model weighs, best first, with its score from 0 to 1."""
        asked = self._vector(stems(self.task.question))
        raw = [self._answers(asked, passage) for passage in self._passages]
        context = self._vector(stems(f"{self.task.earlier} {self.task.remarks}"))
        weight = _CONTEXT if any(raw) else 1.0
        raw = [
            score + weight * self._answers(context, passage)
            for score, passage in zip(raw, self._passages, strict=True)
        ]
        if self.task.reply:
            raw = self._followed(raw)
        most = max(raw, default=0.0) + _DOUBT
        scored = [(p, s / most) for p, s in zip(self._passages, raw, strict=True)]
        return sorted(scored, key=lambda scored: -scored[1])

    def _followed(self, raw: Sequence[float]) -> list[float]:
        """Scores for a follow-up that asks for what comes after the last reply."""
        told = [at for at, p in enumerate(self._passages) if p.text in self.task.reply]
        if not told or not _ONWARD.search(self.task.question):
            return list(raw)
        bonus = max(raw) + _ONWARD_BONUS
        return [score + bonus * (at == told[-1] + 1) for at, score in enumerate(raw)]

    @cached_property
    def central(self) -> list[tuple[Passage, float]]:
        """Each passage, best first, by how much of all the material it repeats."""
        whole = self._vector([s for p in self._passages for s in stems(p.text)])
        raw = [
            (
                passage,
                sum(whole.get(stem, 0.0) for stem in set(found)) / (len(found) + 4),
            )
            for passage in self._passages
            if (found := stems(passage.text))
        ]
        most = max((score for _, score in raw), default=0.0) + 0.01
        return sorted(((p, score / most) for p, score in raw), key=lambda s: -s[1])

    @cached_property
    def keywords(self) -> list[tuple[str, float]]:
        """The words of the material that set it apart, best first."""
        text = " ".join(self._subject) or self.task.question
        shown = {found[0]: word for word in words(text) if (found := stems(word))}
        vector = self._vector(stems(text))
        most = max(vector.values(), default=0.0) + 0.01
        ranked = [(word, vector.get(stem, 0.0) / most) for stem, word in shown.items()]
        return sorted(ranked, key=lambda scored: -scored[1])

    @cached_property
    def covered(self) -> float:
        """The share of the question's words that the best passage contains, 0 to 1."""
        query = self._weighted(dict.fromkeys(stems(self.task.question), 1.0))
        if not query or not self.passages:
            return 0.0
        found = set(stems(self.passages[0][0].text))
        return sum(w for s, w in query.items() if s in found) / sum(query.values())

    @cached_property
    def mood(self) -> float:
        """Good against bad words in the subject: -1 all bad, 0 even, 1 all good."""
        found = [t for stem in stems(" ".join(self._subject)) for t in topics(stem)]
        good, bad = found.count("good"), found.count("bad")
        return (good - bad) / (good + bad) if good + bad else 0.0

    def clue(self, option: Option) -> str | None:
        """The sentence of the subject that speaks most for `option`, if any does."""
        scored = [
            (self._fit(self._vector(stems(sentence)), option), sentence)
            for sentence in self._subject
        ]
        best, sentence = max(scored, default=(0.0, ""), key=lambda pair: pair[0])
        return sentence if best > 0 else None

    @cached_property
    def _wanted(self) -> Vector:
        """The subject, in which what somebody dislikes counts against."""
        wanted: defaultdict[str, float] = defaultdict(float)
        for sentence in self._subject:
            sign = -_AVERSION if _DISLIKES.search(sentence) else 1.0
            for stem, weight in self._vector(stems(sentence)).items():
                wanted[stem] += sign * weight
        return wanted

    @cached_property
    def _subject(self) -> Sequence[str]:
        return self.task.subject[: self.model.evidence]

    @cached_property
    def _passages(self) -> Sequence[Passage]:
        return self.task.passages[-self.model.evidence :]

    @cached_property
    def _rarity(self) -> Mapping[str, float]:
        """How telling a stem or topic is: high when few parts of a request have it."""
        texts = [passage.text for passage in self._passages]
        texts += [
            f"{option.label} {option.description}" for option in self.task.options
        ]
        seen: Counter[str] = Counter()
        for text in texts:
            found = set(stems(text))
            seen.update(found)
            seen.update({f"#{topic}" for stem in found for topic in topics(stem)})
        return {s: math.log(1 + (len(texts) + 1) / n) for s, n in seen.items()}

    def _vector(self, found: Sequence[str]) -> Vector:
        """Stems, and at the model's weight their topics, weighted by rarity."""
        return self._weighted(Counter(found))

    def _weighted(self, counts: Mapping[str, float]) -> Vector:
        vector: defaultdict[str, float] = defaultdict(float)
        rarity = self._rarity
        for stem, times in counts.items():
            vector[stem] += math.log1p(times) * rarity.get(stem, 1.0)
            for topic in topics(stem):
                weight = self.model.association * rarity.get(f"#{topic}", 1.0)
                vector[f"#{topic}"] += math.log1p(times) * weight
        return vector

    def _fit(self, subject: Vector, option: Option) -> float:
        """How much `subject` speaks of what `option` names or describes."""
        wanted = self._vector([*stems(option.label), *stems(option.description)])
        size = math.sqrt(sum(weight * weight for weight in wanted.values())) + 1
        return sum(w * wanted[s] for s, w in subject.items() if s in wanted) / size

    def _vote(self, subject: Vector, option: Option) -> float:
        """How much the examples solved by `option` resemble `subject`."""
        return 2 * sum(
            _cosine(subject, self._vector(stems(example.text)))
            for example in self.task.examples
            if example.label == option.label
        )

    def _answers(self, query: Vector, passage: Passage) -> float:
        found = self._vector(stems(passage.text))
        if not (shared := sum(min(query[s], found[s]) for s in query if s in found)):
            return 0.0
        bonus = 1.25 if _right_kind(self.task.question.lower(), passage.text) else 1.0
        return bonus * passage.weight * shared / math.sqrt(len(found) + 12)

    def _yes_no(self, options: Sequence[Option]) -> list[tuple[Option, float]]:
        best = self.passages[0][0].text if self.passages else ""
        denied = not NEGATIONS.isdisjoint(words(best))
        yes = 1 - self.covered if denied else self.covered
        return [
            (option, yes if option.label.lower() in ("yes", "true") else 1 - yes)
            for option in options
        ]


def _is_yes_no(options: Sequence[Option]) -> bool:
    labels = {option.label.lower() for option in options}
    return labels in ({"yes", "no"}, {"true", "false"})


def _right_kind(question: str, text: str) -> bool:
    """Whether `text` has what the question word wants: a number, a time, a name."""
    if "how much" in question or "how many" in question or "price" in question:
        return any(character.isdigit() for character in text)
    if "when" in question or "what time" in question or "how long" in question:
        return any(character.isdigit() for character in text)
    if "who" in question or "where" in question:
        return any(word[0].isupper() for word in text.split()[1:])
    return False


def _cosine(one: Vector, other: Vector) -> float:
    shared = sum(weight * other[s] for s, weight in one.items() if s in other)
    if not shared:
        return 0.0
    size = sum(w * w for w in one.values()) * sum(w * w for w in other.values())
    return shared / math.sqrt(size)
