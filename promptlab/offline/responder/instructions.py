"""Instructions: what a request says about the form of the answer."""

import re
from dataclasses import dataclass

_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: number for number, word in enumerate(_WORDS, start=1)}
_NUMBERS |= {"a": 1, "an": 1, "single": 1}
_N = rf"(\d{{1,3}}|{'|'.join(_NUMBERS)})"
_MOST = rf"(?:most|up to|under|within|maximum(?: of)?|more than|less than|in) {_N}"
_FEWER = "(?: at most| or fewer| or less| maximum)"

_FLAGS = {
    "one word": r"(?:one|single|1)[ -]word\b",
    "only": r"(?:with|just|only) (?:just |only )?(?:the |its )?(?:exact |best |one )?"
    r"(?:name|label|team|category|title|class|number|letter|word|option|answer)s?\b"
    r"(?: name| label)?(?: only|\.|$)|only (?:with )?(?:(?:the|a|one) )?[\w-]+(?:\.|$)"
    r"|nothing else|no (?:other|extra) (?:words|text)|no explanation",
    "terse": r"(?:terse|concise|brief|briefly|short|laconic|to the point)\b",
    "list": r"bullet|enumerate|(?m:^list)\b|list (?:of|the|all)\b|an? (?:\w+ )?list\b",
    "numbered": r"numbered list|number(?:ed)? (?:each|the) ",
    "ranked": r"rank\b|in order of|order (?:them|the)\b|top \w+ (?!of)",
    "json": r"json\b",
    "reason": r"step[ -]by[ -]step|steps?\b.{0,80}\bthen\b|explain|justif|why\b|"
    r"reason(?:ing)?\b|because\b|evidence|think (?:first|about|it)",
    "upper": r"(?:upper ?case|capital letters|all caps)\b",
    "sort": r"(?:route|triage|classify|label|sort|tag|categori[sz]e|assign)s?\b",
    "summary": r"summar|tl;?dr|in short|gist|sum up|key points",
    "write": r"(?:write|draft|compose|create|generate|invent|come up with|craft) "
    r"(?:an?|the|this|me|us|some|one|two|three|\d+|short) ",
    "headline": r"headline|subject line|slogan|title\b|tagline|caption",
}
"""Patterns of what instructions ask for, by its name."""
_COUNTS = {
    "sentences": rf"{_N}(?: (?:to|or) \w+)?(?: \w+)?[ -]sentences?\b",
    "words": rf"{_MOST} words?\b|{_N} words{_FEWER}",
    "characters": rf"{_MOST} characters|{_N} characters{_FEWER}",
    "items": rf"top {_N}\b|{_N} (?:\w+ )?(?:bullets?|points|items|ideas|reasons|"
    r"options|suggestions|tips|facts|examples|steps|keywords|titles|names)\b",
    "steps": rf"(?:work )?in {_N} steps?\b",
}
"""Patterns of what instructions count, by its name."""
_TONES = {
    "Arr, matey! ": "pirate",
    "Thank you for asking! ": r"polite|friendly|warm|kind(?:ly)?\b|empath|courteous",
    "With regard to your request: ": "formal|professional",
}
"""Patterns of the tone asked for, by how prose then begins."""
_PHRASES = {
    "ending": r"(?:last line|end|finish|conclude|final line|then)\b[^\n]{0,60}?"
    r"[\"'`“]?\b([A-Z][a-z]+(?: [a-z]+)?):",
    "topic": r"(?:about|on|for|advertising|announcing) ([^\n.,:?!]{2,60})",
    "required": r"must (?:contain|mention|include)(?: (?:the|these) words?)?:? "
    r"([^\n]{1,80})",
    "persona": r"You(?:'re| are) (an? (?:[\w'-]+ ?){1,6})",
    "keys": r"(?:keys?|fields?|propert(?:y|ies))\b(?: named| called)?:? "
    r"([\"'`]?\w+[\"'`]?(?:(?:, and |, | and )[\"'`]?\w+[\"'`]?){0,11})",
}
"""Patterns of what instructions name, by what it is."""
_SCALE = re.compile(
    r"\b(?:rat(?:e|ing)|scor(?:e|ing)|scale|grade|mark)\b.*?"
    r"\b(\d{1,3}) ?(?:to|and|-|\u2013) ?(\d{1,3})\b",
    re.IGNORECASE | re.DOTALL,
)
_TEMPLATE_KEY = re.compile(r"[\"']([\w ]{1,40})[\"']\s*:")
_PLAIN_PERSONA = re.compile(r"\b(?:assistant|agent|model|AI\b|classifier|router)")


def _found(pattern: str, text: str, flags: int = re.I) -> re.Match[str] | None:
    return re.search(rf"\b(?:{pattern})", text, flags)


@dataclass(frozen=True)
class Instructions:
    """The sentences of a request that say what to do, one a line."""

    text: str
    system: str
    """Those of system messages alone."""

    def ask(self, name: str) -> bool:
        """Whether they ask for one of `_FLAGS`."""
        return _found(_FLAGS[name], self.text) is not None

    def count(self, name: str) -> int | None:
        """The number they give of one of `_COUNTS`; None if they give none."""
        if (found := _found(_COUNTS[name], self.text)) is None:
            return None
        number = next(group for group in found.groups() if group).lower()
        return _NUMBERS.get(number) or max(1, int(number))

    def phrase(self, name: str) -> str:
        """The words they give for one of `_PHRASES`; empty if they give none."""
        found = _found(_PHRASES[name], self.text, re.NOFLAG)
        return found[1].strip(" .\"'") if found else ""

    @property
    def label_only(self) -> bool:
        """Whether a bare label is wanted; a router's system message wants one too."""
        if self.ask("one word"):
            return True
        sorts = _found(_FLAGS["sort"], self.system) is not None
        return not self.reason and (sorts or self.ask("only"))

    @property
    def reason(self) -> bool:
        """Whether the reason is to be given, not only the result."""
        return self.ask("reason") and not self.ask("one word")

    @property
    def scale(self) -> tuple[int, int] | None:
        """The lowest and the highest mark; None if no mark is asked for."""
        found = _SCALE.search(self.text)
        low, high = (int(found[1]), int(found[2])) if found else (0, 0)
        return (low, high) if low < high <= low + 100 else None

    @property
    def keys(self) -> list[str]:
        """The names of the values of a JSON object."""
        named = re.findall(r"\b(?!and\b)\w+", self.phrase("keys"))
        return _TEMPLATE_KEY.findall(self.text) or named

    @property
    def opening(self) -> str:
        """How prose begins, by tone and persona."""
        # "How warm does it get?" asks for no warm tone.
        orders = re.sub(r".*\?$", "", self.text, flags=re.MULTILINE)
        for opening, pattern in _TONES.items():
            if _found(pattern, orders):
                return opening
        persona = self.phrase("persona")
        plain = not persona or _PLAIN_PERSONA.search(persona)
        return "" if plain else f"As {persona}: "
