"""The sandbox: what a template may reach, how a value is written, and how far it goes.

Values are data. `{{order.items}}` is the member that the case has under that name, and
never an attribute of a Python type; only a call, `{{text.upper()}}`, is a method, and
one of those that merely read. Objects and lists are written as JSON.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from functools import cache, partial
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

LARGEST = 20_000_000
"""Characters that a template may make for one case, or one of its steps in between."""

LONGEST_S = 2.0
"""Seconds of computing that a template may take for one case."""

DEEPEST_INDENT = 16
"""Spaces that a level of JSON is indented by, at most."""

DATA = (str, int, float, list, tuple, Mapping, type(None))
"""The kinds of values that a case holds."""

METHODS: dict[str, frozenset[str]] = {
    "text": frozenset(
        (
            *("capitalize", "casefold", "center", "count", "endswith", "expandtabs"),
            *("find", "format", "format_map", "index", "isalnum", "isalpha"),
            *("isascii", "isdecimal", "isdigit", "isidentifier", "islower"),
            *("isnumeric", "isprintable", "isspace", "istitle", "isupper", "join"),
            *("ljust", "lower", "lstrip", "partition", "removeprefix"),
            *("removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition"),
            *("rsplit", "rstrip", "split", "splitlines", "startswith", "strip"),
            *("swapcase", "title", "upper", "zfill"),
        )
    ),
    "object": frozenset(["copy", "get", "items", "keys", "values"]),
    "list": frozenset(["copy", "count", "index"]),
}
"""The methods that a template may call; none of them changes its object."""

METHOD, STEP, TEXT = "a method", "a step", "a string"
"""Filters under names that no template can write; `promptlab.spec.template` puts
them in."""

METER = "a meter\n"
"""Where a context keeps its meter; no hole can hold this name either."""


class MemberError(UndefinedError):
    """A value has no member of that name."""

    def __init__(self, owner: Any, member: Any, message: str) -> None:
        super().__init__(message)
        self.owner = owner
        self.member = member


class Missing(jinja2.StrictUndefined):
    """What is not there: an error wherever it is used.

    Only of a field, which a template may do without, a condition takes it for false.
    """

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]
        if self._undefined_obj is not missing:
            self._fail_with_undefined_error()
        return False


def kind(value: Any) -> str:
    """What a value is called in a message."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, (list, tuple)):
        return "list"
    return "null" if value is None else "number"


def written(value: Any) -> Any:
    """A value as a hole sends it: texts and numbers as they are, the rest as JSON."""
    if isinstance(value, (str, int, float, jinja2.Undefined)):
        return value
    if value is None or isinstance(value, (Mapping, list, tuple)):
        return to_json(value)
    return to_json(_listed(value))


def to_json(value: Any, indent: int | str | None = None) -> str:
    """JSON as a person writes it: in its own order, every character as it is."""
    if isinstance(indent, int) and indent > DEEPEST_INDENT:
        raise ValueError(
            f"tojson: expected an indent <= {DEEPEST_INDENT}, got {indent}"
        )
    return json.dumps(value, indent=indent, ensure_ascii=False, default=_listed)


def _listed(value: Any) -> Any:
    """What JSON can hold of a value that is not JSON itself."""
    if isinstance(value, Mapping):
        return dict(value)
    views = (range, KeysView, ValuesView, ItemsView, Iterator)
    if isinstance(value, views) and not isinstance(value, LoopContext):
        return list(value)
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises
    raise TypeError(f"a {type(value).__name__} cannot be sent as text")


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 without what reads other objects, never ends, or differs each time.

    It renders templates without loops, calls and the like, which take no longer than
    they are long.
    """

    intercepted_binops = frozenset(["**"])

    def __init__(self) -> None:
        super().__init__(undefined=Missing, autoescape=False, finalize=written)
        del self.globals["lipsum"], self.filters["random"]
        self.filters |= {
            "attr": jinja2.pass_environment(Sandbox.getattr),
            "d": _default,
            "default": _default,
            "format": _format,
            "join": _joined,
            "string": lambda value: str(written(value)),
            "tojson": to_json,
            METHOD: _method,
            STEP: _step,
            TEXT: written,
        }
        self.tests["none"] = lambda value: value is None or isinstance(value, Missing)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, DATA):
            return self._member(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Context):
            return obj.resolve(argument)
        if isinstance(obj, DATA):
            return self._member(obj, argument)
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            raise SecurityError("a prompt cannot use **")
        return super().call_binop(context, operator, left, right)

    def _member(self, owner: Any, name: Any) -> Any:
        if name in getattr(owner, "_fields", ()):  # of what `groupby` gives
            return getattr(owner, name)
        try:
            return owner[name]
        except (TypeError, LookupError):
            failing: Any = partial(MemberError, owner, name)
            return self.undefined(obj=owner, name=name, exc=failing)


def _default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    lacking = value is None or isinstance(value, jinja2.Undefined)
    return default_value if lacking or (boolean and not value) else value


def _format(text: Any, *args: Any, **kwargs: Any) -> str:
    named = {name: written(value) for name, value in kwargs.items()}
    return str(text) % (named or tuple(written(value) for value in args))


@jinja2.pass_environment
def _joined(
    environment: Sandbox, items: Any, d: str = "", attribute: str | int | None = None
) -> str:
    if attribute is not None:
        items = map(make_attrgetter(environment, attribute), items)
    return str(d).join(str(written(item)) for item in items)


@jinja2.pass_environment
def _method(environment: Sandbox, owner: Any, name: str) -> Any:
    """A method that is about to be called."""
    if not isinstance(owner, DATA):
        return environment.getattr(owner, name)
    if name not in METHODS.get(kind(owner), ()):
        raise SecurityError(f"a prompt cannot call {name!r} of a {kind(owner)}")
    method = getattr(owner, name)
    return environment.wrap_str_format(method) or method


@jinja2.pass_context
def _step(context: Context, size: int) -> None:
    """Counts one turn of a loop, and the characters of its own that it sends."""
    context.parent[METER].count(size)


class Meter:
    """How much a template has computed and made for one case.

    Raises:
        SecurityError: it goes beyond what a template may.
    """

    __slots__ = ("_end_s", "_made")

    def __init__(self) -> None:
        self._end_s = time.thread_time() + LONGEST_S
        self._made = 0

    def count(self, made: int = 0) -> None:
        """Takes note of characters that are made to be sent."""
        self._made += max(made, 0)
        self.fits(self._made)
        if time.thread_time() > self._end_s:
            raise SecurityError(f"it computes for more than {LONGEST_S:g} s")

    def fits(self, size: int) -> None:
        """Checks the size of something before it is made."""
        if size > LARGEST:
            raise SecurityError(
                f"it makes more than {LARGEST // 1_000_000} million characters"
            )


class MeteredSandbox(Sandbox):
    """The sandbox for templates that loop, call or multiply: each step is counted."""

    intercepted_binops = frozenset(["**", "*", "%", "+"])

    def __init__(self) -> None:
        super().__init__()
        self.finalize = _counted
        for name in set(self.filters) - {METHOD, STEP}:
            self.filters[name] = _metered(name)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        meter: Meter = context.parent[METER]
        meter.count()
        if operator == "*":
            meter.fits(_product(left, right))
        elif operator == "+":
            meter.fits(size(left) + size(right))
        elif operator == "%" and isinstance(left, str):
            right = right if isinstance(right, tuple) else (right,)
            meter.fits(_formatted(left, *right))
            right = tuple(written(value) for value in right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        meter: Meter = context.parent[METER]
        meter.count()
        method = getattr(obj, "__wrapped__", obj)
        if isinstance(owner := getattr(method, "__self__", None), str):
            args = tuple(list(a) if isinstance(a, Iterator) else a for a in args)
            meter.fits(_growth(method.__name__, owner, args, kwargs, method=True))
        made = super().call(context, obj, *args, **kwargs)
        meter.fits(size(made))
        return made


@jinja2.pass_context
def _counted(context: Context, value: Any) -> Any:
    text = written(value)
    context.parent[METER].count(size(text))
    return text


def _metered(name: str) -> Callable[..., Any]:
    @jinja2.pass_context
    def metered(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        meter: Meter = context.parent[METER]
        meter.count()
        if isinstance(value, Iterator) and name == "join":
            value = list(value)
        meter.fits(_growth(name, value, args, kwargs))
        made = sandbox(metered=False).call_filter(
            name, value, args, kwargs, context, context.eval_ctx
        )
        meter.fits(size(made))
        return made

    return metered


# How large something gets, before it is made.


def size(value: Any) -> int:
    """About the characters that a value takes; numbers take none."""
    if isinstance(value, str):
        return len(value)
    return 16 * len(value) if isinstance(value, (list, tuple, Mapping)) else 0


def _product(left: Any, right: Any) -> int:
    if isinstance(left, int) and isinstance(right, int):
        return (left.bit_length() + right.bit_length()) * 1_000  # of 20,000 bits
    for many, times in ((left, right), (right, left)):
        if isinstance(times, int):
            return size(many) * times
    return 0


WIDE = ("batch", "center", "ljust", "rjust", "slice", "zfill")
"""What takes a length and makes something as long."""

SPREAD = ("expandtabs", "indent", "urlize", "wordwrap")
"""What puts something at many places of a string."""


def _growth(
    name: str, value: Any, args: Any, kwargs: Mapping[str, Any], *, method: bool = False
) -> int:
    """At least about the size of what a filter or a method of a string makes."""
    given = [*args, *kwargs.values()]
    lengths = [abs(n) if isinstance(n, int) else size(n) for n in given]
    if name in WIDE:
        return 16 * max(lengths, default=0)
    if name in SPREAD:
        return size(value) * max(lengths, default=0) // 8
    if name == "replace" and len(given) > 1:
        return str(value).count(str(given[0])) * size(given[1])
    if name == "join":
        between, items = (value, args[0]) if method else (given[:1], value)
        items = items if isinstance(items, (list, tuple)) else []
        between = between if isinstance(between, str) else "".join(map(str, between))
        return len(items) * len(between) + sum(map(size, items))
    return _formatted(str(value), *given) if name.startswith("format") else 0


def _formatted(text: str, *values: Any) -> int:
    if re.search(r"%[^a-zA-Z%]*\*|\{[^{}]*\{[^{]", text):
        raise SecurityError("a prompt cannot format with a width that is not written")
    widths = [int(n[:12]) for n in re.findall(r"\d+", text)]
    places = text.count("%") + text.count("{")
    return max(widths, default=0) + places * max(map(size, values), default=0)


@cache
def sandbox(*, metered: bool) -> Sandbox:
    """The one sandbox of each kind."""
    return MeteredSandbox() if metered else Sandbox()
