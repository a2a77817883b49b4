"""Wishes: what the instructions of a request say about the form of the answer."""

import re
from dataclasses import dataclass

from promptlab.offline.responder.keywords import NUMBERS

_NUMBER = r"(\d{1,3}|" + "|".join(NUMBERS) + ")"


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})", re.IGNORECASE)


_ONE_WORD = _any(r"(?:one|single|1)[ -]word\b")
_ONLY = _any(
    r"(?:with |just |only )(?:just |only )?(?:the |its |their )?"
    r"(?:exact |best |one |single )?"
    r"(?:name|label|team|category|title|class|number|letter|word|option|answer)s?\b"
    r"(?: name| label)?(?: only|,? (?:and )?nothing else|\.|$)",
    r"only (?:with )?(?:the |a |one )?[\w-]+(?: name)?(?:\.|$)",
    r"nothing else",
    r"no (?:other|extra) (?:words|text)",
    r"no explanation",
)
_TERSE = _any(
    r"terse", r"concise", r"brief(?:ly)?\b", r"short\b", r"laconic", r"to the point"
)
_SENTENCES = _any(rf"{_NUMBER}(?: to \w+| or \w+)?(?: \w+)?[ -]sentences?\b")
_WORD_LIMIT = _any(
    rf"(?:at most|up to|under|within|maximum(?: of)?|no more than|fewer than|"
    rf"less than|in) {_NUMBER} words?\b",
    rf"{_NUMBER} words (?:at most|or fewer|or less|maximum)",
)
_ITEMS = _any(
    rf"{_NUMBER} (?:\w+ )?(?:bullets?|bullet points?|points|items|ideas|reasons|"
    rf"options|suggestions|tips|facts|examples|steps|keywords|titles|names)\b",
    rf"top {_NUMBER}\b",
)
_BULLETS = _any(
    r"bullet",
    r"(?:as|in) an? (?:\w+ )?list\b",
    r"list (?:of|the|all|your)\b",
    r"^list\b",
    r"enumerate",
)
_NUMBERED = _any(r"numbered list", r"number(?:ed)? (?:each|the) ")
_RANK = _any(r"rank\b", r"in order of", r"order (?:them|the)\b", r"top \w+ (?!of)")
_JSON = _any(r"json\b")
_REASON = _any(
    r"step[ -]by[ -]step",
    r"steps?\b.{0,80}\bthen\b",
    r"explain",
    r"reason(?:ing)?\b",
    r"justif",
    r"why\b",
    r"because\b",
    r"think (?:first|about|it)",
    r"evidence",
)
_NUMBER_ONLY = _any(r"(?:its|the) number\b", r"number only", r"only (?:the |a )?number")
_SCALE = re.compile(r"\b(\d{1,3}) ?(?:to|and|-|\u2013) ?(\d{1,3})\b")
_SCALE_CUE = _any(
    r"rat(?:e|ing)\b", r"scor(?:e|ing)\b", r"scale\b", r"grade\b", r"mark\b"
)
_ENDING = re.compile(
    r"(?:last line|end|finish|conclude|final line|then)\b[^\n]{0,60}?"
    r"[\"'`“]?\b([A-Z][a-z]+(?: [a-z]+)?):"
)
_KEYS = re.compile(
    r"\b(?:keys?|fields?|propert(?:y|ies))\b(?: named| called)?:? "
    r"([\"'`]?\w+[\"'`]?(?:(?:, and |, | and )[\"'`]?\w+[\"'`]?){0,11})"
)
_TEMPLATE_KEY = re.compile(r"[\"']([\w ]{1,40})[\"']\s*:")
_POLITE = _any(
    r"polite", r"friendly", r"warm", r"kind(?:ly)?\b", r"empath", r"courteous"
)
_FORMAL = _any(r"formal", r"professional")
_PIRATE = _any(r"pirate")
_UPPER = _any(r"(?:upper ?case|capital letters|all caps)\b")
_LOWER = _any(r"lower ?case\b")
_PERSONA = re.compile(r"\bYou(?:'re| are) (an? (?:[\w'-]+ ?){1,6})")
_PLAIN_PERSONA = _any(
    r"assistant", r"agent", r"model", r"\bAI\b", r"classifier", r"router"
)
_ROUTER = _any(r"(?:route|triage|classify|label|sort|tag|categori[sz]e|assign)s?\b")
_SUMMARY = _any(r"summar", r"tl;?dr", r"in short", r"gist", r"sum up", r"key points")
_CREATE = _any(
    r"(?:write|draft|compose|create|generate|invent|come up with|craft|produce) "
    r"(?:an?|the|this|me|us|some|one|two|three|\d+|short) "
)
_HEADLINE = _any(
    r"headline", r"subject line", r"slogan", r"title\b", r"tagline", r"caption"
)
_STEPS = _any(rf"(?:in|work in) {_NUMBER} steps?\b")
_CHARACTERS = _any(
    rf"(?:at most|up to|under|within|no more than) {_NUMBER} characters",
    rf"{_NUMBER} characters (?:at most|or fewer|or less|maximum)",
)
_AUDIENCE = re.compile(
    r"\b(?:It is for|Reader|Audience|written for|aimed at):? ([^\n.]{1,80})"
)
_TOPIC = re.compile(r"\b(?:about|on|for|advertising|announcing) ([^\n.,:?!]{2,60})")
_REQUIRED = re.compile(
    r"must (?:contain|mention|include)(?: the words?| these words)?:? ([^\n]{1,80})"
)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The form asked for; False or None where nothing was said."""

    label_only: bool
    terse: bool
    sentences: int | None
    words: int | None
    items: int | None
    bullets: bool
    numbered: bool
    ranked: bool
    json: bool
    keys: tuple[str, ...]
    """Names asked for in a JSON object."""
    reason: bool
    """The reason is to be given, not only the result."""
    ending: str | None
    """The word before the colon of a last line asked for, such as Answer."""
    number_only: bool
    scale: tuple[int, int] | None
    """Lowest and highest mark."""
    opening: str
    """How prose begins, by tone and persona."""
    upper: bool
    lower: bool
    router: bool
    """The system message is about sorting things, which wants a bare label."""
    summary: bool
    create: bool
    headline: bool
    """One line is wanted: a title, a subject line, a slogan."""
    steps: int | None
    """Numbered lines of reasoning, of which the last is the answer."""
    characters: int | None
    audience: str
    """Whom a text is for."""
    topic: str
    """What a text is about."""
    required: str
    """Words that a text must contain."""


def read_wishes(instructions: str, system: str) -> Wishes:
    """The wishes in `instructions`, of which `system` is the system's part."""
    # "How warm does it get?" asks for no warm tone.
    orders = "\n".join(s for s in instructions.split("\n") if s[-1:] != "?")
    one_word = bool(_ONE_WORD.search(instructions))
    reason = bool(_REASON.search(instructions)) and not one_word
    return Wishes(
        label_only=one_word or (bool(_ONLY.search(instructions)) and not reason),
        terse=bool(_TERSE.search(instructions)),
        sentences=_number(_SENTENCES, instructions),
        words=_number(_WORD_LIMIT, instructions),
        items=_number(_ITEMS, instructions),
        bullets=bool(_BULLETS.search(instructions)),
        numbered=bool(_NUMBERED.search(instructions)),
        ranked=bool(_RANK.search(instructions)),
        json=bool(_JSON.search(instructions)),
        keys=_keys(instructions),
        reason=reason,
        ending=found[1] if (found := _ENDING.search(instructions)) else None,
        number_only=bool(_NUMBER_ONLY.search(instructions)),
        scale=_scale(instructions),
        opening=_opening(orders),
        upper=bool(_UPPER.search(instructions)),
        lower=bool(_LOWER.search(instructions)),
        router=bool(_ROUTER.search(system)),
        summary=bool(_SUMMARY.search(instructions)),
        create=bool(_CREATE.search(instructions)),
        headline=bool(_HEADLINE.search(instructions)),
        steps=_number(_STEPS, instructions),
        characters=_number(_CHARACTERS, instructions),
        audience=_named(_AUDIENCE, instructions),
        topic=_named(_TOPIC, instructions),
        required=_named(_REQUIRED, instructions),
    )


def _named(pattern: re.Pattern[str], text: str) -> str:
    return found[1].strip(" .\"'") if (found := pattern.search(text)) else ""


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    if (found := pattern.search(text)) is None:
        return None
    number = next(group for group in found.groups() if group).lower()
    return NUMBERS[number] if number in NUMBERS else max(1, int(number))


def _scale(text: str) -> tuple[int, int] | None:
    if not _SCALE_CUE.search(text) or (found := _SCALE.search(text)) is None:
        return None
    low, high = int(found[1]), int(found[2])
    return (low, high) if low < high <= low + 100 else None


def _keys(text: str) -> tuple[str, ...]:
    keys = _TEMPLATE_KEY.findall(text)
    if not keys and (found := _KEYS.search(text)):
        keys = [key for key in re.findall(r"\w+", found[1]) if key != "and"]
    return tuple(dict.fromkeys(keys))


def _opening(text: str) -> str:
    if _PIRATE.search(text):
        return "Arr, matey! "
    if _POLITE.search(text):
        return "Thank you for asking! "
    if _FORMAL.search(text):
        return "With regard to your request: "
    persona = _PERSONA.search(text)
    if persona and not _PLAIN_PERSONA.search(persona[1]):
        return f"As {persona[1].strip()}: "
    return ""
