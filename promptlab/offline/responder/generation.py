"""Writing: the text of an answer, from the evidence, in the form wished for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from promptlab.offline.responder.choices import Option
from promptlab.offline.responder.instructions import Wishes
from promptlab.offline.responder.ranking import Evidence
from promptlab.offline.responder.sampling import Sampler
from promptlab.offline.responder.schemas import Filler, property_schema
from promptlab.offline.responder.task import Passage, Task

_ENOUGH = 0.3
"""The score below which a passage does not answer a question."""
_ALSO = 0.75
"""The share of the best score that makes a second passage worth telling."""
_DEFAULT_ITEMS = 3
MAX_FACTS = 100
"""Facts a draft chooses from; no draft has more words than this, either."""

_CHOSEN = (
    ("I would choose {label}.", 1.0),
    ("My answer is {label}.", 0.75),
    ("{label} fits best.", 0.65),
    ("This is one for {label}.", 0.5),
)
_UNKNOWN = (
    ("The text I was given does not say.", 1.0),
    ("I cannot find that in what I was given.", 0.8),
    ("Nothing in the request answers that.", 0.7),
)
_NOTED = (("Noted.", 1.0), ("Thank you, I will keep that in mind.", 0.8))
_HOOKS = (
    ("", 1.0),
    ("Good to know: ", 0.85),
    ("News for {audience}: ", 0.75),
    ("For {audience}: ", 0.7),
)
_PITCHES = (
    ("Here is {topic}, as plain as it should be.", 1.0),
    ("Have you thought about {topic} today?", 0.85),
    ("A good day begins with {topic}.", 0.75),
    ("Take a moment for {topic}.", 0.7),
    ("There is more to {topic} than you may think.", 0.6),
    ("Tell a friend about {topic}.", 0.5),
)


@dataclass(frozen=True)
class Writer:
    """Writes answers to one task; each call of `write` samples anew."""

    task: Task
    wishes: Wishes
    evidence: Evidence
    schema: Mapping[str, Any] | None
    """The JSON schema the answer must meet; {} for any JSON object."""

    def write(self, sampler: Sampler) -> str:
        """One answer."""
        if self.schema is not None or self.wishes.json:
            return self._json(sampler)
        return self._styled(self._form()(sampler))

    def _form(self) -> Callable[[Sampler], str]:
        """The kind of answer the task asks for."""
        wishes = self.wishes
        if wishes.scale:
            return self._mark
        if self._drafts:
            return self._draft
        if self.task.options:
            return self._ranking if wishes.ranked else self._choice
        if wishes.summary:
            return self._summary
        if not self.task.instructions:
            return self._remark
        return self._list if wishes.bullets or wishes.items else self._extract

    @property
    def _drafts(self) -> bool:
        """Whether a text is to be written, rather than something found or chosen."""
        other = self.wishes.steps or self.wishes.label_only
        return self.wishes.create and not other and self.task.question[-1:] != "?"

    def _choice(self, sampler: Sampler) -> str:
        option = sampler.choose(self.evidence.options)
        if self.wishes.number_only:
            return str(self.task.options.index(option) + 1)
        if self.wishes.steps:
            return self._steps(option)
        if self.wishes.reason:
            return self._reasoned(option)
        bare = self.wishes.label_only or self.wishes.terse or self.task.examples
        if bare or self.wishes.router:
            return option.label
        if option.label.lower() in ("yes", "no", "true", "false"):
            return f"{option.label.capitalize()}."
        told = sampler.choose(_CHOSEN).replace("{label}", option.label)
        clue = self.evidence.clue(option) if (self.wishes.sentences or 1) > 1 else None
        return f"{told} {clue}" if clue else told

    def _reasoned(self, option: Option) -> str:
        clue = self.evidence.clue(option)
        reason = (
            f"“{_clipped(clue, self.wishes.words)}” speaks for {option.label}."
            if clue
            else f"Nothing speaks clearly for one option; {option.label} is a guess."
        )
        return f"{reason}\n{self.wishes.ending or 'Answer'}: {option.label}"

    def _steps(self, option: Option) -> str:
        """A numbered line for each step, the last of which is the label."""
        clue = self.evidence.clue(option)
        rest = [sentence for sentence in self.task.subject if sentence != clue]
        steps = self.wishes.steps or 1
        said = ([clue] if clue else []) + rest
        lines = [_clipped(sentence, self.wishes.words) for sentence in said]
        return _numbered([*lines[: steps - 1], option.label])

    def _ranking(self, sampler: Sampler) -> str:
        number = self.wishes.items or len(self.task.options)
        ranked = sampler.order(self.evidence.options, number)
        return _numbered([option.label for option in ranked])

    def _mark(self, sampler: Sampler) -> str:
        low, high = self.wishes.scale or (1, 5)
        mark = str(sampler.choose(self.evidence.marks(low, high)))
        if not self.wishes.reason:
            return mark
        told = self.evidence.central[:1]
        reason = f"“{told[0][0].text}”\n" if told else ""
        return f"{reason}{self.wishes.ending or 'Score'}: {mark}"

    def _extract(self, sampler: Sampler) -> str:
        scored = [(p, score) for p, score in self.evidence.passages if score > _ENOUGH]
        if not scored:
            return sampler.choose(_UNKNOWN)
        number = self.wishes.sentences or 1
        if self.wishes.sentences is None and not self.wishes.terse and len(scored) > 1:
            number += scored[1][1] >= _ALSO * scored[0][1]
        return _joined(sampler.order(scored, number))

    def _summary(self, sampler: Sampler) -> str:
        number = self.wishes.items or self.wishes.sentences or 2
        chosen = set(sampler.order(self.evidence.central, number))
        told = [passage for passage in self.task.passages if passage in chosen]
        if self.wishes.bullets or self.wishes.items:
            return self._bulleted([passage.text for passage in told])
        return _joined(told) or sampler.choose(_UNKNOWN)

    def _list(self, sampler: Sampler) -> str:
        number = self.wishes.items or _DEFAULT_ITEMS
        found = sampler.order(self.evidence.passages, number)
        lines = [passage.text.rstrip(".") for passage in found]
        lines += sampler.order(self.evidence.keywords, number - len(lines))
        return self._bulleted(lines) or sampler.choose(_UNKNOWN)

    def _bulleted(self, lines: Sequence[str]) -> str:
        if self.wishes.numbered:
            return _numbered(lines)
        return "\n".join(f"- {line}" for line in lines)

    def _remark(self, sampler: Sampler) -> str:
        return (
            sampler.choose(_NOTED) if self.task.passages else sampler.choose(_UNKNOWN)
        )

    def _draft(self, sampler: Sampler) -> str:
        """A text from the facts of the brief, or about the topic if there are none."""
        scored = self._facts()
        if not scored:
            return self._pitch(sampler)
        drawn = sampler.order(scored, 1 if self.wishes.headline else MAX_FACTS)
        if self.wishes.headline:
            return drawn[0].rstrip(".")
        hook = sampler.choose(_HOOKS) if self.wishes.audience else ""
        hook = hook.replace("{audience}", self.wishes.audience)
        fitting = self._fitting(drawn, len(hook))
        told = [fact for fact, _ in scored if fact in fitting]
        return self._bulleted(told) if self.wishes.bullets else hook + " ".join(told)

    def _fitting(self, facts: Sequence[str], used: int) -> list[str]:
        """The first of `facts`, and those that fit the length besides."""
        wishes, kept = self.wishes, [facts[0]]
        for fact in facts[1:]:
            text = " ".join([*kept, fact])
            if (
                len(kept) < (wishes.sentences or 4)
                and len(text.split()) <= (wishes.words or MAX_FACTS)
                and used + len(text) <= (wishes.characters or 100 * MAX_FACTS)
            ):
                kept.append(fact)
        return kept

    def _facts(self) -> list[tuple[str, float]]:
        """The sentences to write from: those with words that must occur, first."""
        texts = [p.text for p in self.task.passages] or list(self.task.subject)
        central = {p.text: score for p, score in self.evidence.central}
        required = self.wishes.required.lower()
        return [
            (
                text,
                central.get(text, 0.0) + (required != "" and required in text.lower()),
            )
            for text in dict.fromkeys(texts)
        ]

    def _pitch(self, sampler: Sampler) -> str:
        topic = self.wishes.topic or next(iter(self.evidence.keywords), ("it", 0))[0]
        number = 1 if self.wishes.headline else self.wishes.sentences or 2
        return " ".join(sampler.order(_PITCHES, number)).replace("{topic}", topic)

    def _json(self, sampler: Sampler) -> str:
        schema = self.schema or property_schema(self.wishes.keys or ("answer",))
        filled = Filler(self.task, self.evidence, sampler, schema).fill()
        return orjson.dumps(filled).decode()

    def _styled(self, text: str) -> str:
        wishes = self.wishes
        bare = wishes.label_only or wishes.router or wishes.scale or wishes.create
        if not bare and not self.task.examples:
            text = wishes.opening + text
        if wishes.words and not wishes.steps:
            text = _clipped(text, wishes.words)
        if wishes.characters:
            text = _clipped_to(text, wishes.characters)
        if wishes.upper:
            return text.upper()
        return text.lower() if wishes.lower else text


def _joined(passages: Sequence[Passage]) -> str:
    return " ".join(passage.text for passage in passages)


def _numbered(lines: Sequence[str]) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def _clipped(text: str, words: int | None) -> str:
    """`text` up to its first `words` words."""
    split = text.split(" ")
    if words is None or len(split) <= words:
        return text
    return " ".join(split[:words]).rstrip(",;:")


def _clipped_to(text: str, characters: int) -> str:
    """`text` up to `characters`, ended at a word."""
    if len(text) <= characters:
        return text
    return text[: characters + 1].rpartition(" ")[0] or text[:characters]
