"""Templates: texts with `{{field}}` holes, filled from the inputs of a case.

Holes are Jinja2 expressions, run in a sandbox. Beside these, a hole that holds just
the name of a field is that field, whatever its name: `{{User Question}}`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from promptlab.errors import SpecError, did_you_mean
from promptlab.spec.braces import WORDS, Part, is_name, normal, parts, shown
from promptlab.spec.fields import INPUTS, Fields
from promptlab.spec.sandbox import (
    METER,
    METHOD,
    METHODS,
    STEP,
    TEXT,
    MemberError,
    Meter,
    kind,
    sandbox,
)

Names = frozenset[str]


class Template:
    """A text with holes; raises `SpecError` where it does not parse."""

    def __init__(self, source: str) -> None:
        self.source = source
        holes = {part.inner for part in parts(source) if part.kind == "hole"}
        self._odd = frozenset(hole for hole in holes if not _is_plain(hole))
        """What holes hold that may also be the name of a column."""
        if INPUTS in source:
            self._odd |= {INPUTS}
        self._plain = _Reading.of(source, frozenset())

    def reading(self, names: Collection[str]) -> _Reading:
        """How it reads for cases with fields of these names."""
        if not self._odd:
            return self._plain
        return _Reading.of(self.source, frozenset(n for n in self._odd if n in names))

    def render(self, inputs: Mapping[str, Any]) -> str:
        """The text for the inputs of a case.

        Raises:
            SpecError: it fails on these inputs, or takes too long.
        """
        return self.reading(inputs).render(inputs)

    @property
    def is_quick(self) -> bool:
        """Whether it has no loops, calls and the like, which may take long."""
        return not self._plain.metered

    def notes(self, names: Collection[str]) -> Iterator[str]:
        """What is odd about it for cases with fields of these names: braces that send
        something else than they show."""
        return _notes(self.source, names)


class _Reading:
    """A template read for cases that have certain fields of odd names."""

    def __init__(self, source: str, names: Names) -> None:
        tree, odd = _parse(source, names)
        self.source = source
        self._own_inputs = INPUTS in names
        self._members = _members(tree)
        metered = not _is_bounded(tree)
        environment = sandbox(metered=metered)
        tree = _Prepared(odd, metered=metered).visit(tree)
        tree.set_environment(environment)
        self.metered = metered
        self._template = _compiled(tree, source)
        self.fields = Fields(tree, own_inputs=self._own_inputs)
        self._optional = self.fields.optional
        self._whole = INPUTS in source and not self._own_inputs

    @classmethod
    @cache
    def of(cls, source: str, names: Names) -> _Reading:
        """The reading, made once."""
        return cls(source, names)

    def render(self, inputs: Mapping[str, Any]) -> str:
        """As `Template.render`."""
        if self._optional:
            inputs = {n: value for n, value in inputs.items() if value is not None}
        if self._whole:
            inputs = {INPUTS: inputs, **inputs}
        if self.metered:
            inputs = {**inputs, METER: Meter()}
        template = self._template
        try:
            context = template.new_context(inputs)  # type: ignore[arg-type]  # copied
            return "".join(template.root_render_func(context))
        except Exception as error:  # a template may call any method of its values
            raise SpecError(f"template fails: {self._told(error)}") from error

    def _told(self, error: Exception) -> str:
        """An error of rendering in our words, with the line where there are several."""
        said = _first_line(error)
        if isinstance(error, MemberError):
            said = self._no_member(error)
        elif isinstance(error, RecursionError):
            said = "it calls itself too deep"
        line = _line_of(error, self._template)
        return f"line {line}: {said}" if line and "\n" in self.source else said

    def _no_member(self, error: MemberError) -> str:
        owner, member = error.owner, error.member
        paths = self._members.get(member, ())
        path = f" ({' or '.join(paths)})" if paths else ""
        said = f"a {kind(owner)} has no member {member!r}{path}"
        if isinstance(owner, Mapping):
            have = ", ".join(shown(str(name)) for name in list(owner)[:20])
            said = f"an object has no member {member!r}{path}"
            said += did_you_mean(str(member), map(str, owner))
            said += f"; it has {have}" if have else "; it is empty"
        if member in METHODS.get(kind(owner), ()):
            said += f"; its method is called as in {(paths or [member])[0]}()"
        return said


def _is_plain(hole: str) -> bool:
    """Whether a hole holds a name that Jinja2 reads as such."""
    return hole.isidentifier() and hole not in WORDS


def _parse(source: str, names: Names) -> tuple[nodes.Template, dict[str, str]]:
    """The tree of a template, with stand-ins for what is a field of an odd name."""
    try:
        odd = {
            hole: f"field_{number}_of_odd_name"
            for number, hole in enumerate(_odd_holes(source, names))
        }
        text = "".join(
            _stood_in(part, odd[part.inner])
            if part.kind == "hole" and part.inner in odd
            else part.source
            for part in parts(source)
        )
        tree = sandbox(metered=False).parse(text)
    except (jinja2.TemplateSyntaxError, RecursionError, ValueError) as error:
        raise _explained(error, source) from error
    for node in tree.find_all(
        (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
    ):
        raise SpecError(
            f"template, line {node.lineno}: a prompt cannot load other templates"
        )
    return tree, {stand_in: hole for hole, stand_in in odd.items()}


def _odd_holes(source: str, names: Names) -> Iterator[str]:
    """The holes that hold a name which Jinja2 would not read as one: where the cases
    have it, and wherever it could be nothing else."""
    holes = dict.fromkeys(part.inner for part in parts(source) if part.kind == "hole")
    odd = [hole for hole in holes if not _is_plain(hole)]
    fine = not odd or _parses(source)
    for hole in odd:
        no_expression = not fine and is_name(hole) and not _parses("{{" + hole + "}}")
        if hole in names or hole in WORDS or no_expression:
            yield hole


def _parses(source: str) -> bool:
    try:
        sandbox(metered=False).parse(source)
    except (jinja2.TemplateSyntaxError, RecursionError, ValueError):
        return False
    return True


def _stood_in(part: Part, stand_in: str) -> str:
    """A hole with a stand-in for what it holds; its lines stay as many."""
    opening = "{{-" if part.source.startswith("{{-") else "{{"
    closing = "-}}" if part.source.endswith("-}}") else "}}"
    return f"{opening} {stand_in}{chr(10) * part.source.count(chr(10))} {closing}"


class _Prepared(NodeTransformer):
    """Puts into a tree what Jinja2's syntax cannot say."""

    def __init__(self, odd: Mapping[str, str], *, metered: bool) -> None:
        self._odd = odd
        self._metered = metered

    def visit_Name(self, node: nodes.Name) -> nodes.Node:  # noqa: N802
        if (hole := self._odd.get(node.name)) is None:
            node.name = normal(node.name)
            return node
        of, name = nodes.ContextReference(), nodes.Const(hole)
        return nodes.Getitem(of, name, "load", lineno=node.lineno)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        whole = isinstance(node.node, nodes.Name) and node.node.name == INPUTS
        if whole and isinstance(node.arg, nodes.Const):
            name = node.arg.value
            node.arg.value = normal(name) if isinstance(name, str) else name
        return self.generic_visit(node)

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        if isinstance(node.node, nodes.Getattr):
            node.node = _filter(METHOD, node.node.node, nodes.Const(node.node.attr))
        return self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.nodes = [_filter(TEXT, part) for part in node.nodes]
        return _filter(TEXT, node) if self._metered else node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        data = sum(len(text.data) for text in node.find_all(nodes.TemplateData))
        self.generic_visit(node)
        step = _filter(STEP, nodes.Const(data))
        node.body.insert(0, nodes.ExprStmt(step, lineno=node.lineno))
        return node

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.filter = _filter(TEXT, node.filter)
        return node


def _filter(name: str, node: nodes.Expr | None, *args: nodes.Expr) -> nodes.Filter:
    line = node.lineno if node is not None else 1
    return nodes.Filter(node, name, list(args), [], None, None, lineno=line)


BOUNDED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const),
    *(nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.List, nodes.Tuple, nodes.Dict),
    *(nodes.Pair, nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And),
    *(nodes.Or, nodes.Not, nodes.Test, nodes.Add, nodes.Sub, nodes.Concat, nodes.Neg),
    *(nodes.Keyword, nodes.ContextReference),
)
"""The parts of templates that cannot make more, or take longer, than they are long."""

BOUNDED_FILTERS = frozenset(
    (
        *("abs", "capitalize", "count", "d", "default", "first", "float", "int"),
        *("last", "length", "lower", "string", "title", "trim", "upper"),
    )
)


def _is_bounded(tree: nodes.Template) -> bool:
    return all(
        isinstance(node, BOUNDED)
        or (
            isinstance(node, nodes.Filter)
            and (
                node.name in BOUNDED_FILTERS
                or (node.name == "tojson" and not node.args)
            )
        )
        for node in tree.find_all(nodes.Node)
    )


def _compiled(tree: nodes.Template, source: str) -> jinja2.Template:
    environment = tree.environment
    assert environment is not None
    try:
        template = environment.from_string(tree)
    except (jinja2.TemplateError, SyntaxError, RecursionError, ValueError) as error:
        raise _explained(error, source) from error
    template.globals = dict(template.globals)  # its ChainMap is slow to render with
    return template


def _members(tree: nodes.Template) -> dict[Any, list[str]]:
    """By the name of a member, where a template uses it: `order.items`."""
    found: dict[Any, list[str]] = {}
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        member = node.attr if isinstance(node, nodes.Getattr) else None
        if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            member = node.arg.value
        path = _path(node)
        if path and path not in found.setdefault(member, []):
            found[member].append(path)
    return found


def _path(node: nodes.Node) -> str:
    """An expression of names and members as it is written; empty for any other."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{of}.{node.attr}" if (of := _path(node.node)) else ""
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return f"{of}[{node.arg.value!r}]" if (of := _path(node.node)) else ""
    return ""


def _line_of(error: BaseException, template: jinja2.Template) -> int | None:
    """The line of a template at which it failed."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if (
            trace.tb_frame.f_code.co_filename
            == template.root_render_func.__code__.co_filename
        ):
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line


# Messages about the source.


def _notes(source: str, names: Collection[str]) -> Iterator[str]:
    for part in parts(source):
        if part.kind == "comment":
            yield (
                f"{_cut(part.source)} is a comment: it is not sent; what is to be sent "
                "with its braces stands between {% raw %} and {% endraw %}"
            )
        elif _is_literal(part) and part.inner not in names:
            yield (
                f"{_cut(part.source)} holds no field: it is sent without its braces; "
                "with them between {% raw %} and {% endraw %}"
            )


def _is_literal(part: Part) -> bool:
    """Whether it is a hole with a literal that says something: not just braces."""
    literal = r"""\{\{-?\s*("[^"]*"|'[^']*'|[\d.]+)\s*-?\}\}"""
    found = re.fullmatch(literal, part.source)
    return found is not None and any(sign.isalnum() for sign in found[1])


SAID = (
    (r"[Nn]o (filter|test) named '(.+)'", r"no \1 is called '\2'"),
    (r"Encountered unknown tag '(.+?)'.*", r"no tag is called '\1'"),
    (
        r"Unexpected end of template.*innermost block.*'(\w+)'.*",
        r"{% \1 ... %} is not closed: {% end\1 %} is missing",
    ),
)
"""What Jinja2 says, and our words for it."""

BLOCKS = "to send braces as they are, put them between {% raw %} and {% endraw %}"


def _explained(error: Exception, source: str) -> SpecError:
    """An error of parsing in our words: the line, what stands there, what would do."""
    line = getattr(error, "lineno", None) or 1
    said = _first_line(error)
    for pattern, words in SAID:
        if found := re.search(pattern, said):
            if "filter" in found[0]:
                hint = did_you_mean(found[2], sandbox(metered=False).filters)
            else:
                hint = ""
            return SpecError(f"template, line {line}: {found.expand(words)}{hint}")
    return SpecError(_at_braces(source, line))


def _at_braces(source: str, line: int) -> str:
    """What is wrong with the braces of a line, as far as they show it."""
    for part in parts(source):
        if part.kind == "text":
            if found := re.search(r"\{\{|\{%|\{#", part.source):
                at = part.line + part.source.count("\n", 0, found.start())
                closing = {"{{": "}}", "{%": "%}", "{#": "#}"}[found[0]]
                opened = _cut(part.source[found.start() :])
                return (
                    f"template, line {at}: {found[0]} is not closed by {closing} in "
                    f"{opened}; {BLOCKS}"
                )
        elif part.kind in ("hole", "tag") and (
            part.line <= line <= part.line + part.source.count("\n")
        ):
            if part.kind == "hole" and _parses(part.source):
                continue
            return f"template, line {part.line}: {_wrong(part, source)}"
    return (
        f"template, line {line}: {_cut(source.splitlines()[line - 1])} cannot be read"
    )


def _wrong(part: Part, source: str) -> str:
    inner = part.inner
    if part.kind == "tag":
        return f"{_cut(part.source)} is no tag that can be read; {BLOCKS}"
    if not inner:
        return f"{_cut(part.source)} holds nothing; write the name of a field in it"
    if found := re.match(r"([#/^])\s*(\w+)\s*(\w*)", inner):
        name = found[3] or "field"
        return (
            f"{_cut(part.source)} is of another template language; here it is "
            "{% if " + name + " %} ... {% endif %} or {% for item in " + name + " %}"
        )
    if inner.startswith("{"):
        name = inner.strip("{} ")
        if name.isidentifier():
            return (
                f"{_cut(part.source)}: for braces around a field, write "
                '{{"{"}}{{' + name + "}}{{" + '"}"}}'
            )
    return (
        f"{_cut(part.source)} is neither a field nor an expression; {BLOCKS}; a column "
        'of any name is {{inputs["its name"]}}'
    )


def _cut(text: str) -> str:
    """The beginning of a string, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
