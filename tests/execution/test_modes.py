"""Ways to run: in a script, under any event loop, in the background, in a notebook."""

from __future__ import annotations

import _thread
import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes.experiments import capitals, outcomes
from pandas.testing import assert_frame_equal

import promptlab as pl
from execution.kernels import TESTS, Kernel
from promptlab.execution.progress import Progress
from promptlab.offline import Faults, OfflineServer
from promptlab.testing import PATIENCE_S, FakeClient, echo, wait_until


def new_uvloop() -> asyncio.AbstractEventLoop:
    return pytest.importorskip("uvloop").new_event_loop()  # type: ignore[no-any-return]


loops = pytest.mark.parametrize(
    "new_loop", [asyncio.new_event_loop, new_uvloop], ids=["asyncio", "uvloop"]
)

NewLoop = Callable[[], asyncio.AbstractEventLoop]


# In one process.


@loops
def test_all_ways_give_the_same_table(
    experiment: pl.Experiment, new_loop: NewLoop
) -> None:
    def options() -> dict[str, Any]:
        return {"client": FakeClient(), "use_cache": False}

    with asyncio.Runner(loop_factory=new_loop) as runner:
        awaited = runner.run(experiment.arun(**options()))
    blocking = experiment.run(**options())
    background = experiment.start(**options()).result(PATIENCE_S)

    assert_frame_equal(awaited.table, blocking.table)
    assert_frame_equal(awaited.table, background.table)


@loops
def test_run_works_inside_a_running_loop(
    experiment: pl.Experiment, client: FakeClient, new_loop: NewLoop
) -> None:
    async def cell() -> pl.Results:
        return experiment.run(client=client)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        results = runner.run(cell())

    assert results.totals.answered == 8


@loops
def test_arun_leaves_the_callers_loop_free(
    experiment: pl.Experiment, new_loop: NewLoop
) -> None:
    client = FakeClient(held=lambda request: True)

    async def main() -> pl.Results:
        running = asyncio.create_task(experiment.arun(client=client))
        await asyncio.to_thread(client.wait_for_calls, 8)
        assert not running.done()
        client.release_all()
        return await running

    with asyncio.Runner(loop_factory=new_loop) as runner:
        results = runner.run(main())

    assert results.totals.answered == 8


@loops
def test_cancelling_arun_ends_the_run_and_keeps_its_answers(
    new_loop: NewLoop, cache: pl.ResponseCache
) -> None:
    client = FakeClient(held=lambda request: client.calls > 10)

    async def main() -> None:
        running = asyncio.create_task(
            capitals(50).arun(client=client, max_concurrency=4)
        )
        await asyncio.to_thread(client.wait_for_calls, 14)
        running.cancel()
        asyncio.get_running_loop().call_later(0.05, client.release)
        with pytest.raises(asyncio.CancelledError):
            await running

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())

    assert client.calls == len(cache) == 14
    assert client.in_flight == 0


def test_a_timeout_around_arun_ends_the_run() -> None:
    client = FakeClient(held=lambda request: True)

    async def expire(limit: asyncio.Timeout) -> None:
        await asyncio.to_thread(client.wait_for_calls, 2)
        limit.reschedule(0)
        client.release_all()

    async def main() -> None:
        async with asyncio.timeout(None) as limit:
            expiry = asyncio.create_task(expire(limit))
            await capitals(50).arun(client=client, max_concurrency=2)
        await expiry

    with pytest.raises(TimeoutError):
        asyncio.run(main())

    assert client.calls == 2


def test_arun_raises_what_is_wrong(experiment: pl.Experiment) -> None:
    with pytest.raises(pl.PromptlabError, match="no API key"):
        asyncio.run(experiment.arun())


def test_two_runs_can_be_awaited_together() -> None:
    client = FakeClient()

    async def main() -> list[pl.Results]:
        return await asyncio.gather(
            *(capitals(n, name=str(n)).arun(client=client) for n in (3, 5))
        )

    three, five = asyncio.run(main())

    assert (len(three), len(five)) == (6, 10)
    assert client.calls == 10


def test_start_returns_at_once_and_the_handle_tells_waits_and_ends() -> None:
    client = FakeClient(held=lambda request: True)

    handle = capitals(50).start(client=client, max_concurrency=4)
    client.wait_for_calls(4)

    assert not handle.done
    assert handle.progress.in_flight == 4
    assert repr(handle).startswith("Handle(capitals: 0/100")
    with pytest.raises(TimeoutError, match="still going on"):
        handle.result(timeout_s=0.01)
    client.release_all()
    assert handle.result(PATIENCE_S).totals.answered == 100
    assert handle.done


def test_a_handle_has_the_table_so_far() -> None:
    client = FakeClient(held=lambda request: True)
    handle = capitals(4).start(client=client, max_concurrency=2)
    client.wait_for_calls(2)
    client.release(2)
    client.wait_for_calls(4)

    so_far = handle.table
    client.release_all()
    whole = handle.result(PATIENCE_S).table

    assert len(so_far) == 2
    assert_frame_equal(so_far, whole[whole["trial"].isin(so_far["trial"])])
    assert_frame_equal(handle.table, whole)


def test_a_handle_has_the_results_so_far() -> None:
    client = FakeClient(held=lambda request: True)
    handle = capitals(4).start(client=client, max_concurrency=2)
    client.wait_for_calls(2)
    client.release(2)
    client.wait_for_calls(4)

    so_far = handle.results

    assert (so_far.status, so_far.totals.answered) == ("running", 2)
    assert so_far[0].messages[-1]["role"] == "assistant"
    client.release_all()
    handle.result(PATIENCE_S)
    assert handle.results.status == "complete"


def test_a_handles_future_cannot_be_cancelled_but_the_handle_can() -> None:
    client = FakeClient(held=lambda request: True)
    handle = capitals(2).start(client=client)
    client.wait_for_calls(4)

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(handle.future), 0.01)

    asyncio.run(impatient())
    assert not handle.future.cancel()
    again = capitals(2, name="again").start(client=client)
    client.release_all()

    assert handle.result(PATIENCE_S).status == "complete"
    assert again.result(PATIENCE_S).totals.answered == 4
    assert client.calls == 4


def test_all_runs_share_one_loop_in_one_thread() -> None:
    clients = [FakeClient(held=lambda request: True) for _ in range(3)]

    handles = [
        capitals(3, name=str(n)).start(client=client, use_cache=False)
        for n, client in enumerate(clients)
    ]
    for client in clients:
        client.wait_for_calls(6)
    threads = [t.name for t in threading.enumerate() if t.name == "promptlab-loop"]
    for client in clients:
        client.release_all()

    assert threads == ["promptlab-loop"]
    assert [handle.result(PATIENCE_S).totals.answered for handle in handles] == [6] * 3


def test_runs_may_be_started_from_several_threads() -> None:
    found: list[pl.Results] = []

    def work(number: int) -> None:
        experiment = capitals(5, name=str(number))
        found.append(experiment.run(client=FakeClient(echo), use_cache=False))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert len(found) == 4
    for results in found[1:]:
        assert_frame_equal(outcomes(found[0]), outcomes(results))


# In a script.

SCRIPT = """
    import sys
    from fakes.experiments import capitals

    results = capitals(200, model=["offline/small"]).run(
        base_url=sys.argv[1], max_concurrency=4
    )
    print(results.status, results.totals.answered, len(results))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[OfflineServer]:
    """A server that takes its time."""
    with OfflineServer(Faults(latency_s=0.1)).in_thread() as server:
        yield server


def test_ctrl_c_in_a_script_keeps_what_was_paid_for(
    server: OfflineServer, cache: pl.ResponseCache
) -> None:
    before = server.answered
    script = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), server.base_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"},
    )

    wait_until(lambda: server.answered >= before + 8)
    script.send_signal(signal.SIGINT)
    stdout, stderr = script.communicate(timeout=PATIENCE_S)

    status, answered, rows = stdout.split()
    assert stderr == ""
    assert status == "interrupted"
    assert 8 <= int(answered) < 400
    assert int(rows) == int(answered) == len(cache)
    assert server.answered - before == int(answered)


def test_ctrl_c_twice_ends_the_run_and_leaves_whatever_called_it() -> None:
    client = FakeClient(held=lambda request: True)
    pressed: list[str] = []

    def press(progress: Progress) -> None:
        begun = progress.state in ("running", "finishing") and progress.in_flight
        if begun and progress.state not in pressed:
            pressed.append(progress.state)
            _thread.interrupt_main()

    with pytest.raises(KeyboardInterrupt):
        capitals(4).run(client=client, progress=press)

    assert pressed == ["running", "finishing"]
    assert client.calls == 8


STUCK = """
    import sys, time
    from fakes.experiments import capitals
    from promptlab.testing import FakeClient

    def wait(*_):
        print("waits", flush=True)
        time.sleep(600)

    what, url = sys.argv[1:]
    client = {"client": FakeClient(wait)}
    key = {"base_url": url, "api_key": wait}
    capitals(4).run(progress=False, **(client if what == "a client" else key))
"""


@pytest.mark.parametrize("what", ["a client", "a key"])
def test_ctrl_c_leaves_a_run_whatever_it_waits_for(
    server: OfflineServer, what: str
) -> None:
    script = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STUCK), what, server.base_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"},
    )
    try:
        assert script.stdout is not None
        assert script.stdout.readline() == "waits\n"

        def pressed() -> bool:
            script.send_signal(signal.SIGINT)
            return script.poll() is not None

        wait_until(pressed)
        _, stderr = script.communicate(timeout=PATIENCE_S)
    finally:
        script.kill()

    assert "KeyboardInterrupt" in stderr


# In a notebook.


@pytest.fixture(scope="module")
def kernel(
    tmp_path_factory: pytest.TempPathFactory, server: OfflineServer
) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path_factory.mktemp("notebook"))
    kernel.run(f"""
        from fakes.experiments import capitals
        from promptlab.testing import FakeClient

        def slow(name):
            return capitals(200, name=name, model=["offline/small"], user=[name])

        slowly = {{"base_url": {server.base_url!r}, "max_concurrency": 4}}
    """)
    yield kernel
    kernel.close()


def test_run_in_a_cell(kernel: Kernel) -> None:
    printed = kernel.run("""
        results = capitals(5, name="cell").run(client=FakeClient(), progress=False)
        print(results.status, len(results))
    """)

    assert printed == "complete 10\n"


def test_arun_awaited_in_a_cell(kernel: Kernel) -> None:
    printed = kernel.run("""
        results = await capitals(5, name="awaited").arun(
            client=FakeClient(), use_cache=False, progress=False
        )
        print(results.status, results.totals.calls)
    """)

    assert printed == "complete 10\n"


def test_start_in_one_cell_and_the_results_in_another(kernel: Kernel) -> None:
    kernel.run("""
        client = FakeClient(held=lambda request: True)
        handle = capitals(5, name="background").start(
            client=client, use_cache=False, progress=False
        )
    """)
    printed = kernel.run("client.wait_for_calls(10); print(handle.done)")
    kernel.run("client.release_all()")

    assert printed == "False\n"
    assert kernel.run("print(len(handle.result()))") == "10\n"


def test_progress_is_shown_once_in_the_cell_and_ends_complete(kernel: Kernel) -> None:
    cell = kernel.begin("""
        _ = capitals(5, name="shown").run(client=FakeClient(), use_cache=False)
    """)
    _, shown = kernel.end(cell)

    displayed = [m for m in shown if m["msg_type"] == "display_data"]
    states = [
        m["content"]["data"]["text/html"]
        for m in shown
        if m["msg_type"] in ("display_data", "update_display_data")
    ]
    assert len(displayed) == 1
    assert "10/10" in states[-1]
    assert "complete in" in states[-1]


def test_however_often_progress_is_told_few_messages_leave_the_kernel(
    kernel: Kernel,
) -> None:
    cell = kernel.begin("""
        from dataclasses import replace
        from execution.test_progress import RUNNING
        from promptlab.execution.progress import Notebook

        with Notebook() as show:
            for answered in range(2_000):
                show(replace(RUNNING, answered=answered))
            show(replace(RUNNING, answered=955, state="complete"))
    """)
    _, shown = kernel.end(cell)

    states = [m["content"]["data"] for m in shown if "data" in m["content"]]
    assert 2 <= len(states) < 100
    assert "960/960" in states[-1]["text/html"]
    assert states[-1]["text/plain"].startswith("triage: 960/960")


def test_the_stop_button_ends_run_and_keeps_what_was_paid_for(
    kernel: Kernel, server: OfflineServer
) -> None:
    before = server.answered

    cell = kernel.begin("""
        results = slow("stopped").run(**slowly)
        print(results.status, results.totals.answered)
    """)
    wait_until(lambda: server.answered >= before + 8)
    kernel.interrupt()
    reply, shown = kernel.end(cell)

    assert reply["status"] == "ok"
    texts = [m["content"]["text"] for m in shown if m["msg_type"] == "stream"]
    status, answered = "".join(texts).split()
    assert status == "interrupted"
    assert 8 <= int(answered) < 400
    stored = kernel.run('print(slow("stopped").plan(**slowly).counts["cached"])')
    assert int(stored) == int(answered) == server.answered - before


def test_the_stop_button_ends_arun_and_keeps_what_was_paid_for(
    kernel: Kernel, server: OfflineServer
) -> None:
    before = server.answered

    cell = kernel.begin('results = await slow("cancelled").arun(**slowly)')
    wait_until(lambda: server.answered >= before + 8)
    kernel.interrupt()
    reply, _ = kernel.end(cell)

    assert reply["status"] == "error"
    assert reply["ename"] in ("CancelledError", "KeyboardInterrupt")
    stored = kernel.run('print(slow("cancelled").plan(**slowly).counts["cached"])')
    assert 8 <= int(stored) == server.answered - before < 400


def test_after_the_stop_button_the_next_run_goes_on(kernel: Kernel) -> None:
    printed = kernel.run("""
        again = capitals(5, name="next").run(
            client=FakeClient(), use_cache=False, progress=False
        )
        print(again.status, len(again))
    """)

    assert printed == "complete 10\n"
