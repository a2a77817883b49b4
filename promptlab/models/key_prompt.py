"""The key prompt: a key that the user types, hidden.

A run asks only in a notebook, while a cell is executed in its main thread: from the
callback of a button, a kernel's question would reach nobody and wait forever.
"""

from __future__ import annotations

import contextvars
import getpass
import sys
import threading

from promptlab.secret import Hidden, Secret, checked_key

_typed: dict[str, Secret] = {}
"""The keys typed in this session, by base URL; they are kept nowhere else."""


def can_ask() -> bool:
    """Whether this is the code of a cell that is being executed.

    While one is, ipykernel replaces `getpass` by a method of its own. What an earlier
    cell has scheduled for later has that cell's message as its parent.
    """
    kernel = getattr(getpass.getpass, "__self__", None)
    parent = getattr(kernel, "get_parent", None)
    if parent is None or threading.current_thread() is not threading.main_thread():
        return False
    return bool(parent() == contextvars.Context().run(parent))


def ask(base_url: str) -> Secret | None:
    """Asks the user for the key for a server, for the rest of the session; None if
    nothing is typed.

    Raises:
        CredentialsError: what was typed is not a key.
    """
    try:
        key = read_key(f"API key for {base_url}, for this session: ")
    except (NotImplementedError, EOFError):  # a notebook that is executed by a program
        return None
    if key:
        _typed[base_url] = Secret(key)
    return typed(base_url)


def typed(base_url: str) -> Secret | None:
    """The key that was typed for a server in this session."""
    return _typed.get(base_url)


def forget(base_url: str) -> bool:
    """Forgets the key that was typed for a server; whether there was one."""
    return _typed.pop(base_url, None) is not None


def read_key(question: str) -> Hidden:
    """The key that the user types, or a program writes to standard input; may be empty.

    Raises:
        CredentialsError: it is not a key.
        NotImplementedError: this is a notebook whose front end cannot ask.
        EOFError: the input has ended.
    """
    if not can_ask() and (_in_kernel() or sys.stdin is None):
        raise NotImplementedError("nobody can be asked here")
    if can_ask() or sys.stdin.isatty():
        return checked_key(Hidden(getpass.getpass(question)))
    return checked_key(Hidden(sys.stdin.readline()))


def _in_kernel() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
