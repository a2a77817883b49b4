"""Prompts: named templates with `{{field}}` holes, filled from a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, NoReturn, TypedDict

import jinja2
from jinja2 import meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from promptlab.errors import SpecError, brief, did_you_mean

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")


class ChatMessage(TypedDict):
    """A rendered message, as it goes over the wire."""

    role: str
    content: str


Turn = tuple[ChatMessage, ...]
"""The messages that one call adds; the last is the user's, and it is answered."""


@dataclass(frozen=True)
class Message:
    """One message of a prompt: a role, and a template for its content."""

    role: Role
    content: str

    @cached_property
    def template(self) -> jinja2.Template:
        """The compiled template; raises `SpecError` where it does not parse."""
        return _compile(self.content)

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names of the holes."""
        return frozenset(meta.find_undeclared_variables(_parse(self.content)))


@dataclass(frozen=True, init=False)
class Prompt:
    """A text, or several messages, with `{{field}}` holes.

    Holes are Jinja2 expressions, run in a sandbox; every field must be in the case.

    A text is one user message. In a list of messages, a user message that an
    assistant message follows is history (an example); every other user message is
    *asked*, with the replies before it in the conversation. So two user messages in
    a row are two calls. One that renders to nothing is not asked.

    >>> Prompt("Which team? {{ticket}}").fields
    ('ticket',)
    """

    messages: tuple[Message, ...]

    def __init__(self, messages: str | Iterable[Message | Mapping[str, str]]) -> None:
        if isinstance(messages, str):
            messages = [Message("user", messages)]
        if isinstance(messages, Mapping) or not isinstance(messages, Iterable):
            raise SpecError(
                f"a prompt is a text or a list of messages, not {brief(messages)}"
            )
        read = tuple(_message(item) for item in messages)
        object.__setattr__(self, "messages", read)
        if not read:
            raise SpecError("a prompt needs at least one message")
        for message in read:
            _ = message.template
        if read[-1].role != "user":
            raise SpecError(
                f"a prompt must end with a user message, not {read[-1].role!r}"
            )

    @classmethod
    def from_file(cls, path: str | Path) -> Prompt:
        """The prompt in a file: text, or YAML or JSON with a list of messages."""
        from promptlab.files import read_prompt

        return read_prompt(path)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of its holes, in alphabetical order."""
        return tuple(sorted(frozenset().union(*(m.fields for m in self.messages))))

    @cached_property
    def has_system(self) -> bool:
        """Whether one of its messages is a system message."""
        return any(message.role == "system" for message in self.messages)

    @cached_property
    def _asked(self) -> tuple[bool, ...]:
        roles = [message.role for message in self.messages]
        return tuple(
            role == "user" and after != "assistant"
            for role, after in zip(roles, [*roles[1:], None], strict=True)
        )

    def with_system(self, content: str | None) -> Prompt:
        """The same prompt under a system message; unchanged for None."""
        if content is None:
            return self
        return Prompt([Message("system", content), *self.messages])

    def turns(self, inputs: Mapping[str, Any]) -> tuple[Turn, ...]:
        """The rendered messages, one group for each call that is to be made.

        Raises:
            SpecError: a template fails on these inputs, or nothing is left to ask.
        """
        turns: list[Turn] = []
        turn: list[ChatMessage] = []
        for message, asked in zip(self.messages, self._asked, strict=True):
            content = _render(message.template, inputs)
            if asked and not content.strip():
                continue
            turn.append({"role": message.role, "content": content})
            if asked:
                turns.append(tuple(turn))
                turn = []
        if not turns:
            raise SpecError("renders to nothing: there is no question to ask")
        return tuple(turns)

    def to_plain(self) -> str | list[ChatMessage]:
        """The prompt as JSON and YAML write it: a text, or a list of messages."""
        if len(self.messages) == 1:
            return self.messages[0].content
        return [{"role": m.role, "content": m.content} for m in self.messages]


def _message(item: Message | Mapping[str, str]) -> Message:
    if isinstance(item, Message):
        return item
    if not isinstance(item, Mapping) or set(item) != {"role", "content"}:
        raise SpecError(
            "a message is a mapping with 'role' and 'content', "
            f"not {brief(dict(item) if isinstance(item, Mapping) else item)}"
        )
    role, content = item["role"], item["content"]
    if role not in ROLES:
        raise SpecError(
            f"a message's role is one of {', '.join(ROLES)}, not {role!r}"
            + did_you_mean(str(role), ROLES)
        )
    if not isinstance(content, str):
        raise SpecError(f"a message's content is a text, not {brief(content)}")
    return Message(role, content)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 without what reads other objects, never ends, or differs each time."""

    intercepted_binops = frozenset(["**"])

    def call_binop(
        self, context: Context, operator: str, left: Any, right: Any
    ) -> NoReturn:
        raise SecurityError("a prompt cannot use **")


@cache
def _environment() -> _Sandbox:
    sandbox = _Sandbox(undefined=jinja2.StrictUndefined, autoescape=False)
    del sandbox.globals["lipsum"], sandbox.filters["random"]
    return sandbox


@cache
def _parse(source: str) -> nodes.Template:
    try:
        tree = _environment().parse(source)
    except (jinja2.TemplateSyntaxError, RecursionError, ValueError) as error:
        line = getattr(error, "lineno", 1)
        raise SpecError(f"template, line {line}: {_first_line(error)}") from error
    for node in tree.find_all(
        (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
    ):
        raise SpecError(
            f"template, line {node.lineno}: a prompt cannot load other templates"
        )
    return tree


@cache
def _compile(source: str) -> jinja2.Template:
    _parse(source)
    try:
        template = _environment().from_string(source)
        template.globals = dict(template.globals)  # its ChainMap is slow to render with
        return template
    except (jinja2.TemplateError, SyntaxError, RecursionError, ValueError) as error:
        line = getattr(error, "lineno", 1)
        raise SpecError(f"template, line {line}: {_first_line(error)}") from error


def _render(template: jinja2.Template, inputs: Mapping[str, Any]) -> str:
    try:
        return template.render(inputs)
    except Exception as error:  # a template may call any method of its values
        raise SpecError(f"template fails: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
