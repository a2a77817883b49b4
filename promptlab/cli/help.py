"""Help: what a command prints when it is asked how it is used.

Its description, examples and options, in two columns that fit the terminal.
"""

from __future__ import annotations

import inspect
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

WIDEST = 100
NAMES_WIDTH = 27
"""Columns for the names of options; longer ones get a line of their own."""


def help_text(command: Any, context: Any) -> str:
    """The help of a command or a group of commands."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    parameters = [p for p in command.get_params(context) if not p.hidden]
    arguments = _arguments(command, context)
    options = [p for p in parameters if p.param_type_name == "option"]
    commands = getattr(command, "commands", {})
    words = [context.command_path, "[OPTIONS]", *map(_argument_name, arguments)]
    lines = [" ".join([*words, *(["COMMAND"] if commands else [])])]
    for paragraph in inspect.cleandoc(command.help).split("\n\n"):
        verbatim = "\n " in paragraph
        wrapped = paragraph if verbatim else textwrap.fill(_joined(paragraph), width)
        lines += ["", wrapped]
    sections = {
        "Commands": [(name, summary(each)) for name, each in commands.items()],
        "Arguments": [(_argument_name(p), p.help) for p in arguments],
    }
    for option in options:
        title = getattr(option, "rich_help_panel", None) or "Options"
        sections.setdefault(title, []).append((_option_names(option), _about(option)))
    for title, rows in sections.items():
        if rows:
            lines += ["", f"{title}:", *_columns(rows, width)]
    return "\n".join([f"Usage: {lines[0]}", *lines[1:], *_variables(options, width)])


def summary(command: Any) -> str:
    """The first paragraph of a command's help."""
    return _joined(inspect.cleandoc(command.help or "").partition("\n\n")[0])


def _joined(paragraph: str) -> str:
    return " ".join(paragraph.split())


def _argument_name(argument: Any) -> str:
    name = argument.name.upper()
    return name if argument.required else f"[{name}]"


def _option_names(option: Any) -> str:
    """`-o, --output FILE`, `--[no-]record`; four spaces stand for no short name."""
    *_, short, long = ["", *sorted(option.opts, key=len)]
    for negative in option.secondary_opts:
        bare = long.removeprefix("--")
        opposite = negative == f"--no-{bare}"
        long = f"--[no-]{bare}" if opposite else f"{long}/{negative}"
    names = f"{short}, {long}" if short else f"    {long}"
    return names if option.is_flag else f"{names} {option.metavar}"


def _about(option: Any) -> str:
    shown = option.default is not None and not option.is_flag
    default = f" Default: {option.default}." if shown and option.default else ""
    return f"{option.help}{default}"


def _columns(rows: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    rows = list(rows)
    left = min(max(len(name) for name, _ in rows), NAMES_WIDTH) + 4
    for name, text in rows:
        first, *more = textwrap.wrap(text, max(width - left, 20))
        if len(name) + 4 > left:
            yield f"  {name}"
            name = ""
        yield f"  {name}".ljust(left) + first
        yield from (" " * left + line for line in more)


def _variables(options: Iterable[Any], width: int) -> Iterator[str]:
    """How options are set by environment variables, and which are not."""
    names = [max(o.opts, key=len) for o in options if o.allow_from_autoenv]
    never = [max(o.opts, key=len) for o in options if not o.allow_from_autoenv]
    never = [name for name in never if name not in ("--help", "--version")]
    if names := [name for name in names if name != "--help"]:
        variable = "PROMPTLAB_" + names[0].removeprefix("--").replace("-", "_").upper()
        text = (
            f"Options can also be set by environment variables, such as {variable} for "
            f"{names[0]}; on the command line they win."
        )
        if never:
            text += f" {' and '.join(never)} must stand on the command line."
        yield from ["", textwrap.fill(text, width)]


class Command(TyperCommand):
    """A command with our help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help."""
        formatter.write(help_text(self, ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the name of the command, as errors show it."""
        return ["[OPTIONS]", *map(_argument_name, _arguments(self, ctx))]


class Group(TyperGroup):
    """A group of commands with our help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help."""
        formatter.write(help_text(self, ctx))


def _arguments(command: Any, context: Any) -> list[Any]:
    parameters = command.get_params(context)
    return [each for each in parameters if each.param_type_name == "argument"]
