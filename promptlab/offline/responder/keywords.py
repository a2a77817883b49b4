"""Cues: the words by which the parts of a request are told apart."""

from promptlab.offline.responder.stemming import stems


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


OPTION_FIELDS = frozenset(
    stems(
        """
        teams options labels categories choices classes candidates departments queues
        intents tags values answers alternatives genres topics products books items
        catalogue catalog menu shortlist
        """
    )
)
"""Stems of the names under which a request lists what to choose from."""

MATERIAL_FIELDS = _set(
    """
    ticket message text email review customer input passage article document context
    facts content comment query complaint request issue body subject profile user person
    brief notes name age likes dislikes product example question note hours price reply
    answer history conversation background interests needs budget tier
    """
)
"""Names under which a request gives its material: `Ticket: …`."""

RULE_FIELDS = _set(
    "rules instructions instruction guidelines task requirements important choose"
)
"""Last words of the names under which a request gives instructions."""

FORM_FIELDS = _set("format length style tone audience reader language") | {
    "it is for",
    "written for",
}
"""Names under which a request says what the answer should be like."""

QUESTION_FIELDS = _set("question q")
"""Last words of the names under which a request asks its question."""

VERBS = _set(
    """
    answer reply respond choose pick select classify decide name list write summarise
    summarize give return output do don't say explain describe think read rank rate
    translate extract route assign label determine identify keep create draft compose
    recommend suggest end start include mention avoid speak act consider always never
    only match categorise categorize predict judge compare produce generate finish
    begin limit imagine format stay quote score state sort tag triage be use invent
    craft pretend repeat count find work forget
    """
)
"""First words of an instruction."""

LEAD_INS = _set(
    "please then now and first finally next also just kindly so you should must"
)
"""Words that may stand before the verb of an instruction."""

NEGATIONS = _set("not no never none nobody cannot can't don't doesn't isn't won't")
"""Words that turn a statement round."""

NOT_LABELS = _set(
    """
    word words sentence sentences more less fewer so not if two three four five nothing
    else it this that them these those then yourself
    """
)
"""Words of a list that make it no list of labels."""

_COUNTED = "one two three four five six seven eight nine ten"

NUMBERS = {word: n for n, word in enumerate(_COUNTED.split(), start=1)} | {
    "a": 1,
    "an": 1,
    "single": 1,
}
"""Numbers as words."""
