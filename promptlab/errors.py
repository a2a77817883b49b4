"""What promptlab raises: every exception and warning of the package.

    PromptlabError                  the one to catch for all of them
    ├── SpecError (ValueError)      the experiment is wrong; nothing was called
    │   ├── DatasetError            ... in its cases, or the file that holds them
    │   └── ConfigError             ... in a config file; says which line
    ├── CredentialsError            no API key, or one that must not be sent there
    ├── CallError                   one call failed; the runner turns it into a record
    ├── CacheError                  answers, marks or votes cannot be read or written
    ├── ExportError (ValueError)    results cannot be written or read as asked
    └── UnknownRun (LookupError)    no recorded run has that name

    PromptlabWarning (UserWarning)  worth knowing, and the run goes on

A wrong definition raises before the first call. A failed call does not raise: it
becomes the `error` of its record, and the rest of the run goes on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptlab.results.record import Failure


class PromptlabError(Exception):
    """Anything promptlab raises on purpose; its text is one line that helps."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # a path may hold line ends


class SpecError(PromptlabError, ValueError):
    """The experiment cannot be run as it is written. Nothing was called or paid."""

    def __init__(self, message: str, *, at: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.at = at
        """The parameter it is about, and the name of its value, where that is known."""


class DatasetError(SpecError):
    """The dataset, or the file it is in, is not what a dataset must be."""


class ConfigError(SpecError):
    """A config file is wrong; the message starts with the file and the line."""


class CredentialsError(PromptlabError):
    """No API key was found, or it would be sent somewhere it must not go."""


class CallError(PromptlabError):
    """One call to a model failed; `failure` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.summary)
        self.failure = failure


class CacheError(PromptlabError):
    """What `.promptlab` keeps, answers, marks or votes, cannot be read or written."""


class ExportError(PromptlabError, ValueError):
    """Results cannot be written to, or read back from, that file."""


class UnknownRun(PromptlabError, LookupError):
    """No recorded run has that name."""


class PromptlabWarning(UserWarning):
    """Something to know about an experiment or its cache; the run goes on."""


SAME = {"requests_per_minute": "rpm", "tokens_per_minute": "tpm"}
"""What people write, and what it is called here."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` when `word` is close to one of `known`, else `""`."""
    word = SAME.get(word, word)
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def brief(value: object) -> str:
    """The repr of a value, cut to 60 characters, for a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def a_number(low: int, *, whole: bool = False, above: bool = False) -> str:
    """The number that is expected: `an integer >= 1`, `a number > 0`."""
    return f"{'an integer' if whole else 'a number'} {'>' if above else '>='} {low}"
