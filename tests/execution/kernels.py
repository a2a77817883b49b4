"""Kernels as a notebook has them."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

from promptlab.testing import PATIENCE_S

TESTS = Path(__file__).parents[1]


class Kernel:
    """A real IPython kernel."""

    def __init__(self, home: Path, **environment: str) -> None:
        from jupyter_client.manager import KernelManager

        self._manager = KernelManager()
        self._manager.start_kernel(
            cwd=str(home),
            env={
                **os.environ,
                "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}",
                "PROMPTLAB_HOME": str(home / ".promptlab"),
                "IPYTHONDIR": str(home / "ipython"),
                **environment,
            },
        )
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE_S)

    def begin(self, cell: str, *, may_ask: bool = True) -> str:
        """Sends a cell to be executed."""
        code = textwrap.dedent(cell)
        return str(self._client.execute(code, allow_stdin=may_ask))

    def question(self) -> tuple[str, bool]:
        """What the kernel asks the user, and whether the answer is hidden."""
        asked = self._client.get_stdin_msg(timeout=PATIENCE_S)["content"]
        return asked["prompt"], asked["password"]

    def type(self, answer: str) -> None:
        """Types an answer to what the kernel asks."""
        self._client.input(answer)

    @property
    def asks(self) -> bool:
        """Whether a question of the kernel has come that was not looked at."""
        return bool(self._client.stdin_channel.msg_ready())

    def end(self, cell: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The kernel's reply to a cell, and what the cell showed."""
        shown = []
        while True:
            message = self._client.get_iopub_msg(timeout=PATIENCE_S)
            if message["parent_header"].get("msg_id") != cell:
                continue
            if message["content"].get("execution_state") == "idle":
                break
            shown.append(message)
        while True:
            reply = self._client.get_shell_msg(timeout=PATIENCE_S)
            if reply["parent_header"].get("msg_id") == cell:
                return reply["content"], shown

    def run(self, cell: str) -> str:
        """What a cell prints; fails if it raises."""
        reply, shown = self.end(self.begin(cell))
        assert reply["status"] == "ok", reply.get("traceback")
        return "".join(m["content"].get("text", "") for m in shown)

    def interrupt(self) -> None:
        """Presses the stop button."""
        self._manager.interrupt_kernel()

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
