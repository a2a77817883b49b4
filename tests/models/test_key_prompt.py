"""Asking: a key that is typed into a notebook, where someone is there to type it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from execution.kernels import Kernel
from fakes.servers import Received, Reply, ToldServer, answer, error

KEY, OTHER = "sk-typed-0123456789abcdef", "sk-another-0123456789abcdef"
PROMPT = "API key for http://api.openai.com/v1, for this session: "


@pytest.fixture(scope="module")
def server() -> Iterator[ToldServer]:
    """A server that takes one key."""

    def reply(received: Received) -> Reply:
        right = received.headers["authorization"] == f"Bearer {KEY}"
        return answer() if right else error(401, message="Incorrect API key provided")

    with ToldServer().in_thread() as server:
        server.reply = reply
        yield server


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory, server: ToldServer
) -> Iterator[Kernel]:
    kernel = Kernel(
        tmp_path_factory.mktemp("notebook"),
        http_proxy=server.base_url.removesuffix("/v1"),
        no_proxy="",
    )
    kernel.run("""
        import asyncio, threading
        import promptlab as pl
        from fakes.experiments import capitals

        options = {
            "base_url": "http://api.openai.com/v1", "allow_insecure": True,
            "prices": {"*": {"input": 1, "output": 1}}, "progress": False,
        }
        numbers = iter(range(1000))

        def fresh():
            user = [str(next(numbers))]
            return capitals(1, temperature=[0], name="asking", user=user)

        def told(run):
            try:
                return f"{run().totals.answered} answered"
            except pl.PromptlabError as error:
                return str(error)
    """)
    yield kernel
    kernel.close()


@pytest.fixture
def kernel(started: Kernel) -> Kernel:
    """A kernel in which no key was typed so far."""
    started.run(
        "from promptlab.models import key_prompt\n"
        "key_prompt.forget(options['base_url'])"
    )
    return started


def typed(kernel: Kernel, cell: str, key: str) -> str:
    """What a cell prints, after a key is typed in answer to its one question."""
    begun = kernel.begin(cell)
    assert kernel.question() == (PROMPT, True)
    kernel.type(key)
    reply, shown = kernel.end(begun)
    assert reply["status"] == "ok", reply
    return "".join(m["content"].get("text", "") for m in shown)


@pytest.mark.parametrize(
    "run",
    [
        "fresh().run(**options)",
        "(await fresh().arun(**options))",
        "fresh().start(**options).result()",
    ],
    ids=["run", "arun", "start"],
)
def test_a_run_in_a_cell_asks_for_a_key_that_is_missing(
    kernel: Kernel, run: str
) -> None:
    assert typed(kernel, f"print({run}.headline)", KEY).startswith("1 of 1 trial ")


def test_it_asks_once_in_a_session(kernel: Kernel) -> None:
    typed(kernel, "fresh().run(**options)", KEY)

    assert kernel.run("print(told(lambda: fresh().run(**options)))") == "1 answered\n"
    assert not kernel.asks


def test_a_key_that_the_server_refuses_is_asked_for_anew(kernel: Kernel) -> None:
    first = typed(kernel, "print(fresh().run(**options).reason)", OTHER)
    second = typed(kernel, "print(fresh().run(**options).status)", KEY)

    assert first.startswith("401: Incorrect API key provided")
    assert second == "complete\n"


def test_what_is_all_cached_is_not_asked_for(kernel: Kernel) -> None:
    typed(kernel, "kept = fresh(); kept.run(**options)", KEY)
    kernel.run("key_prompt.forget(options['base_url'])")

    assert kernel.run("print(told(lambda: kept.run(**options)))") == "1 answered\n"
    assert (
        kernel.run("""
        print(told(lambda: kept.with_repeats(2).run(only_trials=[0], **options)))
    """)
        == "1 answered\n"
    )
    assert not kernel.asks


def test_who_types_nothing_is_told_what_would_do(kernel: Kernel) -> None:
    printed = typed(kernel, "print(told(lambda: fresh().run(**options)))", "")

    assert printed.startswith("no API key for http://api.openai.com/v1: set OPENAI_")


def test_the_stop_button_ends_the_question(kernel: Kernel) -> None:
    begun = kernel.begin("fresh().run(**options)")
    kernel.question()

    kernel.interrupt()
    reply, _ = kernel.end(begun)

    assert reply["ename"] == "KeyboardInterrupt"


@pytest.mark.parametrize(
    "cell",
    [
        """
        said = []
        ask = lambda: said.append(told(lambda: fresh().run(**options)))
        thread = threading.Thread(target=ask); thread.start(); thread.join()
        print(*said)
        """,
        """
        task = asyncio.get_running_loop().create_task(fresh().arun(**options))
        await asyncio.wait([task])
        print(task.exception())
        """,
    ],
    ids=["another thread", "no front end"],
)
def test_where_nobody_can_be_asked_the_missing_key_is_an_error(
    kernel: Kernel, cell: str
) -> None:
    reply, shown = kernel.end(kernel.begin(cell, may_ask="thread" in cell))

    printed = "".join(m["content"].get("text", "") for m in shown)
    assert printed.startswith("no API key for http://api.openai.com/v1"), reply
    assert not kernel.asks


@pytest.mark.parametrize("when", ["between cells", "during the next"])
def test_what_a_cell_leaves_to_be_done_later_asks_nobody(
    kernel: Kernel, when: str
) -> None:
    """Such as the callback of a button: no front end would show its question."""
    kernel.run(f"""
        later, begin = asyncio.Future(), asyncio.Event()

        async def wait():
            await begin.wait()
            later.set_result(told(lambda: fresh().run(**options)))

        task = asyncio.create_task(wait())
        if {when == "between cells"}:
            begin.set()
    """)

    printed = kernel.run("begin.set(); print(await later)")

    assert printed.startswith("no API key for http://api.openai.com/v1")
    assert not kernel.asks
