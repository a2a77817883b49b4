"""Fields: what a template takes from a case, and what it can do without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import meta, nodes

INPUTS = "inputs"
"""The name under which a template finds all inputs of the case, whatever their names:
`inputs["User Question"]`."""

Names = frozenset[str]
NONE: Names = frozenset()


class Fields:
    """The fields of a template that is parsed.

    A field that it guards wherever it uses it, by `{% if field %}`, `is defined` or
    `default`, is optional.
    """

    def __init__(self, tree: nodes.Template, *, own_inputs: bool) -> None:
        self._own_inputs = own_inputs
        self._needed: set[str] = set()
        self._seen: set[str] = set()
        self.printed: set[str] = set()
        """Those that a hole sends just as they are."""
        self._visit(tree, NONE)
        names = meta.find_undeclared_variables(tree)
        if not own_inputs:
            names.discard(INPUTS)
        quoted = {
            name
            for node in tree.find_all((nodes.Getitem, nodes.Getattr))
            if (name := self._field(node)) is not None
        }
        self.all: Names = frozenset(names | quoted)
        self.required: Names = frozenset(self._needed) & self.all

    @property
    def optional(self) -> Names:
        """Those that a case may lack."""
        return self.all - self.required

    def _field(self, node: Any) -> str | None:
        """The field that an expression is, and no more."""
        if isinstance(node, nodes.Name) and node.ctx == "load":
            return node.name
        if isinstance(node, nodes.Getattr):
            name: Any = node.attr
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            name = node.arg.value
        else:
            return None
        of = node.node
        whole = (
            isinstance(of, nodes.Name) and of.name == INPUTS and not self._own_inputs
        )
        if (whole or isinstance(of, nodes.ContextReference)) and isinstance(name, str):
            return name
        return None

    def _visit(self, node: Any, sure: Names) -> None:
        """Notes the fields of a part of a template in which those of `sure` exist."""
        if (field := self._field(node)) is not None:
            if field not in sure:
                self._needed.add(field)
        elif isinstance(node, nodes.Output):
            self.printed |= {f for n in node.nodes if (f := self._field(n)) is not None}
            self._each(node.nodes, sure)
        elif isinstance(node, nodes.If):
            self._conditional(node, sure)
        elif isinstance(node, nodes.CondExpr):
            self._asked(node.test, sure)
            self._visit(node.expr1, sure | _implied(self._field, node.test, True))
            if node.expr2 is not None:
                self._visit(node.expr2, sure | _implied(self._field, node.test, False))
        elif isinstance(node, (nodes.And, nodes.Or)):
            truth = isinstance(node, nodes.And)
            self._asked(node.left, sure)
            self._visit(node.right, sure | _implied(self._field, node.left, truth))
        elif isinstance(node, (nodes.Not, nodes.Test)):
            self._asked(node, sure)
        elif isinstance(node, nodes.Filter) and node.name in ("default", "d"):
            if self._field(node.node) is None:
                self._visit(node.node, sure)
            self._each([*node.args, *node.kwargs], sure)
        else:
            self._each(node.iter_child_nodes(), sure)

    def _each(self, parts: Iterable[Any], sure: Names) -> None:
        for part in parts:
            self._visit(part, sure)

    def _conditional(self, node: nodes.If, sure: Names) -> None:
        for branch in (node, *node.elif_):
            self._asked(branch.test, sure)
            self._each(branch.body, sure | _implied(self._field, branch.test, True))
            sure |= _implied(self._field, branch.test, False)
        self._each(node.else_, sure)

    def _asked(self, node: Any, sure: Names) -> None:
        """Notes the fields of a condition: one that stands alone need not exist."""
        if isinstance(node, nodes.Not):
            self._asked(node.node, sure)
        elif isinstance(node, (nodes.And, nodes.Or)):
            truth = isinstance(node, nodes.And)
            self._asked(node.left, sure)
            self._asked(node.right, sure | _implied(self._field, node.left, truth))
        elif isinstance(node, nodes.Test) and node.name in EXISTS:
            if self._field(node.node) is None:
                self._visit(node.node, sure)
        elif isinstance(node, nodes.Test):
            self._each(node.iter_child_nodes(), sure)
        elif self._field(node) is None:
            self._visit(node, sure)


EXISTS = {"defined": True, "undefined": False, "none": False}
"""The tests of whether something is there, and what they say where it is."""


def _implied(field_of: Any, test: Any, truth: bool) -> Names:
    """The fields that exist where a condition is true, or false."""
    if isinstance(test, nodes.Not):
        return _implied(field_of, test.node, not truth)
    if isinstance(test, (nodes.And, nodes.Or)):
        left = _implied(field_of, test.left, truth)
        right = _implied(field_of, test.right, truth)
        both = isinstance(test, nodes.And) is truth
        return left | right if both else left & right
    if isinstance(test, nodes.Test):
        if EXISTS.get(test.name) is not truth:
            return NONE
        test, truth = test.node, True
    name = field_of(test) if truth else None
    return NONE if name is None else frozenset([name])
