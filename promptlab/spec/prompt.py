"""Prompts: named templates with `{{field}}` holes, filled from a case."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Required, TypedDict

import orjson

from promptlab.errors import SpecError, brief, did_you_mean
from promptlab.paths import user_path
from promptlab.spec.braces import lone_names
from promptlab.spec.content import (
    SHORT,
    FileReader,
    Files,
    checked,
    is_short,
    is_url,
    shown,
    texts_in,
    whole,
)
from promptlab.spec.request import canonical
from promptlab.spec.template import Template

Role = Literal["system", "developer", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "developer", "user", "assistant", "tool")

ASKED = ("user", "tool")
"""Roles of messages that are answered, where no message of `ANSWERS` follows."""

ANSWERS = ("assistant", "tool")


class ChatMessage(TypedDict, total=False):
    """A message as it goes over the wire, or came."""

    role: Required[str]
    content: Required[Any]
    """A string, a list of parts, or None."""
    name: str
    tool_call_id: str
    tool_calls: list[Any]
    refusal: str


Turn = tuple[ChatMessage, ...]
"""The messages that one call adds; the last is the user's, and it is answered."""


@dataclass(frozen=True)
class Message:
    """One message of a prompt: a role, and a content whose strings are templates."""

    role: Role
    content: Any
    """A string, a list of parts, or None if an assistant only calls tools."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Its other members, such as `name`, which are sent as they are."""

    def __hash__(self) -> int:
        return hash(orjson.dumps(self.to_plain()))

    @cached_property
    def templates(self) -> Mapping[str, Template]:
        """The templates of its strings; raises `SpecError` where one does not parse."""
        return {
            text: Template(text)
            for text in texts_in(self.content)
            if text is self.content or "{" in text  # a data URL may be long
        }

    @property
    def text(self) -> str:
        """Its content as people read it."""
        return shown(self.content)

    @cached_property
    def named_files(self) -> list[tuple[str, str]]:
        """The kind and the template of each file that its parts name."""
        parts = self.content if isinstance(self.content, list) else ()
        return [(n, p[n]) for p in parts if is_short(p) for n in SHORT if n in p]

    def render(self, inputs: Mapping[str, Any], read: FileReader) -> ChatMessage:
        """The message with its holes filled, and the files that it names read."""
        content = self._filled(self.content, inputs)
        if self.named_files:
            content = [whole(p, read) if is_short(p) else p for p in content]
        return {"role": self.role, "content": content, **self.more}  # type: ignore[typeddict-item]

    def files_for(self, inputs: Mapping[str, Any]) -> list[str]:
        """The names of the files that it holds when its holes are filled so."""
        names = [self._filled(name, inputs) for _, name in self.named_files]
        return [name for name in names if not is_url(name)]

    def to_plain(self) -> ChatMessage:
        """The message as JSON and YAML write it."""
        return {"role": self.role, "content": self.content, **self.more}  # type: ignore[typeddict-item]

    def _filled(self, value: Any, inputs: Mapping[str, Any]) -> Any:
        if isinstance(value, str):
            template = self.templates.get(value)
            return value if template is None else template.render(inputs)
        if isinstance(value, Mapping):
            return {
                name: item if name == "type" else self._filled(item, inputs)
                for name, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._filled(item, inputs) for item in value]
        return value


@dataclass(frozen=True, init=False)
class Prompt:
    """A string, or several messages, with `{{field}}` holes.

    Holes are Jinja2 expressions, run in a sandbox; every field must be in the case.

    A string is one user message. In a list of messages, a user message that an
    assistant message follows is history (an example); every other user message is
    *asked*, with the replies before it in the conversation. So two user messages in
    a row are two calls. One that renders to nothing is not asked. An assistant message
    at the end begins the answer.

    A content is a string, or a list of parts as the API takes them; every string in
    them may have holes. `{"image": "{{photo}}"}`, and `audio` and `file` alike, is the
    part that a file makes, read at each run; a relative path is looked for beside the
    prompt's file, the dataset's, and in the working directory.

    A tool message that follows a user message answers the call that the model makes
    of a tool; without a `tool_call_id`, the tool messages answer its calls in order.

    >>> Prompt("Which team? {{ticket}}").fields
    ('ticket',)
    """

    messages: tuple[Message, ...]
    variables: Mapping[str, Any] = field(hash=False, repr=False)
    """Values of holes that no case has to fill."""
    files: FileReader = field(hash=False, repr=False)
    """Reads the files that its parts name."""

    def __init__(self, messages: str | Iterable[Message | Mapping[str, Any]]) -> None:
        if isinstance(messages, str):
            messages = [Message("user", messages)]
        if isinstance(messages, Mapping) or not isinstance(messages, Iterable):
            raise SpecError(
                f"expected a string or a list of messages, got {brief(messages)}"
            )
        read = tuple(_message(item) for item in messages)
        object.__setattr__(self, "messages", read)
        object.__setattr__(self, "variables", {})
        object.__setattr__(self, "files", Files())
        if not read:
            raise SpecError("a prompt needs at least one message")
        for message in read:
            _ = message.templates
        if read[-1].role not in (*ASKED, *ANSWERS):
            raise SpecError(
                f"expected a user message at the end of a prompt, got {read[-1].role!r}"
            )

    @classmethod
    def from_file(cls, path: str | Path) -> Prompt:
        """The prompt in a file: text, or YAML or JSON with a list of messages."""
        from promptlab.files.prompts import read_prompt

        return read_prompt(path, cls).beside(user_path(path).absolute().parent)

    @classmethod
    def all_from_file(
        cls, path: str | Path, *, column: str | None = None, name: str | None = None
    ) -> dict[str, Prompt]:
        """The prompts in a file, by name: of a table (CSV, Excel, JSONL, ...) those in
        `column`, called as the column `name` says; of other text the parts between
        lines of `---`."""
        from promptlab.files.prompts import read_prompts

        return read_prompts(path, cls, column=column, name=name)

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of its holes, in alphabetical order."""
        return self.fields_among(())

    def fields_among(self, names: Collection[str]) -> tuple[str, ...]:
        """Those that it takes from a case with inputs of these names: `{{a.b}}` is the
        input 'a.b' where there is one."""
        readings = (t.reading(names) for t in self._templates)
        return self._without_variables(r.fields.all for r in readings)

    def required(self, names: Collection[str]) -> tuple[str, ...]:
        """Those that such a case must have: all that it does not itself guard, by
        `{% if field %}`, `is defined` or `default`."""
        readings = (t.reading(names) for t in self._templates)
        return self._without_variables(r.fields.required for r in readings)

    def printed(self, names: Collection[str]) -> tuple[str, ...]:
        """Those that it sends just as they are in such a case: `{{field}}`."""
        readings = (t.reading(names) for t in self._templates)
        return self._without_variables(r.fields.printed for r in readings)

    @cached_property
    def _templates(self) -> list[Template]:
        return [t for message in self.messages for t in message.templates.values()]

    def _without_variables(self, names: Iterable[Collection[str]]) -> tuple[str, ...]:
        return tuple(sorted(frozenset().union(*names) - self.variables.keys()))

    @cached_property
    def lone_names(self) -> dict[str, int]:
        """What it holds in single braces, as in `{name}`, and the line of the first."""
        found = [
            lone_names(text)
            for message in reversed(self.messages)
            for text in message.templates
        ]
        return {name: line for names in found for name, line in names.items()}

    def notes(self, names: Collection[str]) -> tuple[str, ...]:
        """What is odd about it for such a case, one line each."""
        templates = [note for t in self._templates for note in t.notes(names)]
        texts = [m.text for m in self.messages if m.role not in ANSWERS]
        lookalikes = (note for text in texts for note in _lookalikes(text))
        return (*templates, *lookalikes)

    @cached_property
    def is_quick(self) -> bool:
        """Whether it has no loops, calls and the like, which may take long."""
        return all(template.is_quick for template in self._templates)

    @cached_property
    def has_system(self) -> bool:
        """Whether one of its messages is a system message."""
        return any(message.role == "system" for message in self.messages)

    @cached_property
    def _asked(self) -> tuple[bool, ...]:
        roles = [message.role for message in self.messages]
        *_, last = asked = [
            (role in ASKED and after not in ANSWERS)
            or (role == "user" and after == "tool")
            for role, after in zip(roles, [*roles[1:], None], strict=True)
        ]
        return (*asked[:-1], last or roles[-1] == "assistant")

    def with_system(self, content: str | None) -> Prompt:
        """The same prompt under a system message; unchanged for None."""
        if content is None:
            return self
        return self._with(messages=(Message("system", content), *self.messages))

    def with_messages(self, messages: Iterable[Message]) -> Prompt:
        """The same prompt with other messages."""
        return self._with(messages=tuple(messages))

    def filled(self, variables: Mapping[str, Any]) -> Prompt:
        """The same prompt with values of its own for some holes."""
        return self._with(variables={**self.variables, **variables})

    @cached_property
    def names_files(self) -> bool:
        """Whether one of its parts names a file, which is read when it is rendered."""
        return any(message.named_files for message in self.messages)

    def reading(self, files: FileReader) -> Prompt:
        """The same prompt, whose files are read so."""
        return self._with(files=files) if self.names_files else self

    def beside(self, folder: Path | None) -> Prompt:
        """The same prompt, whose files are looked for in a folder too."""
        if folder is None or not isinstance(self.files, Files):
            return self
        return self.reading(Files((*self.files.folders, folder)))

    def files_for(self, inputs: Mapping[str, Any]) -> list[str]:
        """The names of the files that it holds when its holes are filled so."""
        inputs = {**inputs, **self.variables}
        return [name for m in self.messages for name in m.files_for(inputs)]

    def _with(self, **parts: Any) -> Prompt:
        made = Prompt(parts.get("messages", self.messages))
        for name in ("variables", "files"):
            object.__setattr__(made, name, parts.get(name, getattr(self, name)))
        return made

    def turns(self, inputs: Mapping[str, Any]) -> tuple[Turn, ...]:
        """The rendered messages, one group for each call that is to be made.

        Raises:
            SpecError: a template fails on these inputs, or nothing is left to ask.
        """
        inputs = {**inputs, **self.variables} if self.variables else inputs
        turns: list[Turn] = []
        turn: list[ChatMessage] = []
        for message, asked in zip(self.messages, self._asked, strict=True):
            rendered = message.render(inputs, self.files)
            content = rendered["content"]
            if asked and isinstance(content, str) and not content.strip():
                continue
            turn.append(rendered)
            if asked:
                turns.append(tuple(turn))
                turn = []
        if not turns:
            raise SpecError("renders to nothing: there is no question to ask")
        return tuple(turns)

    def to_plain(self) -> str | list[ChatMessage]:
        """The prompt as JSON and YAML write it: a string, or a list of messages."""
        first = self.messages[0]
        if (
            len(self.messages) == 1
            and isinstance(first.content, str)
            and (first.role == "user" and not first.more)
        ):
            return first.content
        return [message.to_plain() for message in self.messages]


OWN = ("role", "content")
MEMBERS = ("name", "tool_calls", "tool_call_id", "refusal", "audio", "cache_control")
"""What messages have beside role and content, as far as we know."""

PATH = re.compile(r"(file://)?[^\s{}<>]+\.(txt|md|json|ya?ml|j2|jinja2?|prompt)")


def _lookalikes(text: str) -> Iterator[str]:
    """What a string looks like that is sent as it is."""
    if PATH.fullmatch(text.strip()) or text.strip().startswith("file://"):
        yield (
            f"it sends the text {brief(text.strip())}, which looks like the name of a "
            "file; to send what the file holds, write {file: ...} in YAML, or "
            "Prompt.from_file(...)"
        )
    if text.lstrip().startswith(("[", "{")) and '"role"' in text:
        with suppress(orjson.JSONDecodeError):
            plain = orjson.loads(text)
            if isinstance(plain, dict):
                plain = plain.get("messages")
            if isinstance(plain, list) and plain and all(_is_message(m) for m in plain):
                yield (
                    "it sends one message whose text looks like a JSON list of "
                    "messages; to send these, give the list itself, not its text"
                )


def _is_message(item: Any) -> bool:
    return isinstance(item, dict) and {"role", "content"} <= set(item)


def _message(item: Message | Mapping[str, Any]) -> Message:
    if isinstance(item, Message):
        return item
    if (
        not isinstance(item, Mapping)
        or not {"role"} <= set(item)
        or ("content" not in item and item["role"] != "assistant")
    ):
        raise SpecError(
            "expected a message with 'role' and 'content', "
            f"got {brief(dict(item) if isinstance(item, Mapping) else item)}"
        )
    role, content = item["role"], item.get("content")
    if role not in ROLES:
        raise SpecError(
            f"expected a role of {', '.join(ROLES)}, got {role!r}"
            + did_you_mean(str(role), ROLES)
        )
    more = {name: value for name, value in item.items() if name not in OWN}
    for name in more:
        if name not in MEMBERS and (hint := did_you_mean(name, [*OWN, *MEMBERS])):
            raise SpecError(f"unknown member {name!r} of a message{hint}")
    if content is None and not more:
        raise SpecError("a message without content says nothing")
    return Message(role, canonical(checked(content, role)), canonical(more))
