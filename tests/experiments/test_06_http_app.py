"""06, konf-dev/unspool: an application behind HTTP, with sessions, in several turns.

An application that is no model is a client of one's own, which is glue: an async
function as the thing tested is to come, with loops of tools. All else is whole, turns
of varying number and a judge of another vendor too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import aiohttp
import pytest

import promptlab as pl
from promptlab import scorers
from promptlab.testing import FakeClient, response

from .fakes import shown_to_judge, verdict


class App(BaseHTTPRequestHandler):
    """Remembers what was said in a session, and answers in server-sent events."""

    sessions: dict[str, list[str]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = self.sessions.setdefault(body["session"], [])
        said.append(body["message"])
        answer = f"Noted: {said[0]}." if len(said) == 1 else f"You have: {said[0]}."
        self.send_response(200)
        self.end_headers()
        for word in answer.split(" "):
            self.wfile.write(f"data: {json.dumps({'token': word})}\n\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    handler = type("App", (App,), {"sessions": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def judged(request: pl.Request) -> str:
    return verdict("car" in shown_to_judge(request)["output"])


def test_06_http_app(url: str) -> None:
    judge_client = FakeClient(judged)

    # experiment
    # glue: an application is a client of one's own
    class Application:
        base_url = f"{url}/v1"

        async def complete(self, request: pl.Request) -> pl.Response:
            said = [
                m["content"] for m in request.body["messages"] if m["role"] == "user"
            ]
            body = {"message": said[-1], "session": f"{said[0]}-{request.repeat}"}
            async with (
                aiohttp.ClientSession() as http,
                http.post(f"{url}/chat", json=body) as reply,
            ):
                lines = (await reply.text()).splitlines()
            tokens = [json.loads(line[6:])["token"] for line in lines if line]
            return response(" ".join(tokens), model="app")

        async def close(self) -> None: ...

    # glue: end
    cases = [
        {"id": "note", "first": "fix the car", "then": "", "rubric": "It confirms."},
        {
            "id": "ask",
            "first": "sell the car",
            "then": "What is left?",
            "rubric": "Car.",
        },
    ]
    turns = [{"role": "user", "content": hole} for hole in ("{{first}}", "{{then}}")]
    results = pl.Experiment(
        "app",
        dataset=pl.Dataset(cases, metadata=["rubric"]),
        grid={"model": ["app"], "prompt": {"chat": turns}},
        scorers=[
            scorers.not_(scorers.contains_any(["node_id", "query"])),
            scorers.latency(threshold=5),
        ],
    ).run(client=Application(), use_cache=False, progress=False)
    useful = scorers.judge(
        "useful", model="other", rubric="As `rubric` says.", shows=["inputs", "rubric"]
    )
    judged_results = results.score(useful, client=judge_client)
    # experiment: end

    table = judged_results.table
    assert table["output"].tolist() == [
        "Noted: fix the car.",
        "You have: sell the car.",
    ]
    assert table["useful"].tolist() == [1, 1]
    assert table["not_contains_any"].tolist() == [1, 1]
