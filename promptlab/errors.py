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
import linecache
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from traceback import walk_tb
from typing import Any

from promptlab.formats import shortened

PACKAGE = str(Path(__file__).parent)

GATEWAY_TIMEOUTS = (408, 504, 524)
"""The statuses of a gateway that waited no longer: the model behind it may go on."""

LONGEST_TEXT = 2_000
"""Characters of each string of a failure that are kept."""


class PromptlabError(Exception):
    """Anything promptlab raises on purpose; its message is one line that helps."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))  # a path may hold line ends

    @property
    def _render_traceback_(self) -> Callable[[], list[str]]:
        """What a notebook shows: the user's own line and the message, nothing between.

        All of it with PROMPTLAB_DEBUG=1 or after `%xmode Verbose`, as if this were not
        here.
        """
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        mode = getattr(getattr(shell, "InteractiveTB", None), "mode", "")
        if mode == "Verbose" or os.environ.get("PROMPTLAB_DEBUG", "0") != "0":
            raise AttributeError("_render_traceback_")
        return lambda: [*self._users_line(shell), f"{type(self).__name__}: {self}"]

    def _users_line(self, shell: Any) -> list[str]:
        """The line that called the package, and the two around it."""
        frames = list(walk_tb(self.__traceback__))
        ours = [f.f_code.co_filename.startswith(PACKAGE) for f, _ in frames]
        if True not in ours[1:]:
            return []
        frame, number = frames[ours.index(True, 1) - 1]
        name = frame.f_code.co_filename
        named = shell and shell.compile.format_code_name(name)
        where = " ".join(named) if named else f"File {name}"
        lines = [
            f"{'---->' if n == number else '     '} {n:>3} {linecache.getline(name, n)}"
            for n in (number - 1, number, number + 1)
        ]
        shown = [line.rstrip() for line in lines if line[10:].strip()]
        return [f"{where}, line {number}", *shown, ""]


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

    def _users_line(self, shell: Any) -> list[str]:
        return []  # the message says all that is wrong, and it is not the code


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a call, or the trial it was part of, has no answer."""

    kind: str
    """`connection`, `timeout`, `status`, `invalid_reply`, `not_cached`, `wait`,
    `broken_off` (the model had begun), `unreachable` (no connection came about),
    `refused` (as the same was refused before), `dead_end` (a conversation has more to
    ask and cannot go on from its last reply) or the name of an exception."""
    message: str
    status: int | None = None
    """The HTTP status, or that which the code in a reply's body stands for."""
    code: str | None = None
    """The provider's code, such as `rate_limit_exceeded`."""
    type: str | None = None
    """The provider's type of error, such as `insufficient_quota`."""
    param: str | None = None
    """The parameter that the provider names."""
    request_id: str | None = None
    """What the provider's support asks for."""
    attempts: int = 1
    """How often the call was made."""
    retry_after_s: float | None = None
    """How long the server asked to wait."""
    should_retry: bool | None = None
    """What the server says of a further attempt, where it says so."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """The reply's headers, for the limiter; never kept."""

    @cached_property
    def summary(self) -> str:
        """One line: status, code, what the server said, how often it was asked."""
        message = " ".join(self.message.split())
        times = f" ({self.attempts} attempts)" if self.attempts > 1 else ""
        return f"{self.label}: {shortened(message, 500)}{times}"

    @property
    def may_be_charged(self) -> bool:
        """Whether the provider may charge for the call all the same: it was neither
        refused nor unsent."""
        if self.kind == "broken_off" or self.status in GATEWAY_TIMEOUTS:
            return True
        return (self.status or 0) < 300 and self.kind != "unreachable"

    @property
    def label(self) -> str:
        """Its status and code, each named once; else its kind."""
        parts = dict.fromkeys(str(part) for part in (self.status, self.code) if part)
        return " ".join(parts) or self.kind

    def after(self, attempts: int) -> Failure:
        """The same failure, at that attempt."""
        return replace(self, attempts=attempts)

    def to_keep(self) -> Failure:
        """The same failure without headers, its strings cut to a useful length."""
        texts: dict[str, Any] = {
            name: shortened(text, LONGEST_TEXT)
            for name in ("message", "code", "type", "param", "request_id")
            if isinstance(text := getattr(self, name), str)
        }
        return replace(self, headers={}, **texts)

    def to_plain(self) -> dict[str, Any]:
        """Its fields that say something, as JSON values."""
        return {
            name: value
            for name in self.__dataclass_fields__
            if name != "headers" and (value := getattr(self, name)) is not None
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Failure:
        """The failure that `to_plain` wrote."""
        return cls(**plain)


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
