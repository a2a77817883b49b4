"""Messages of any content: parts, roles, and what messages have beside text."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

import promptlab as pl
from promptlab.testing import FakeClient


def png() -> bytes:
    """One white pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixel = chunk(b"IDAT", zlib.compress(b"\0\xff"))
    return b"\x89PNG\r\n\x1a\n" + head + pixel + chunk(b"IEND", b"")


PNG_URL = "data:image/png;base64," + base64.b64encode(png()).decode()


def rendered(messages: Any, **inputs: Any) -> list[Any]:
    return [list(turn) for turn in pl.Prompt(messages).turns(inputs)]


def test_parts_are_sent_with_their_holes_filled() -> None:
    parts = [
        {"type": "text", "text": "What is on it, {{name}}?"},
        {"type": "image_url", "image_url": {"url": "{{url}}", "detail": "low"}},
    ]
    prompt = pl.Prompt([{"role": "user", "content": parts}])

    assert prompt.fields == ("name", "url")
    ((message,),) = prompt.turns({"name": "Ada", "url": "https://x.org/a.png"})
    assert message["content"] == [
        {"type": "text", "text": "What is on it, Ada?"},
        {
            "type": "image_url",
            "image_url": {"url": "https://x.org/a.png", "detail": "low"},
        },
    ]


def test_a_string_among_parts_is_a_part_of_text() -> None:
    ((message,),) = rendered([{"role": "user", "content": ["Hello {{who}}"]}], who="A")

    assert message["content"] == [{"type": "text", "text": "Hello A"}]


def test_parts_of_unknown_types_and_members_are_sent_unchanged() -> None:
    part = {"type": "hologram", "depth": 3, "cache_control": {"type": "ephemeral"}}

    ((message,),) = rendered([{"role": "user", "content": [part]}])

    assert message["content"] == [part]


@pytest.mark.parametrize("given", [png(), "file"], ids=["bytes", "path"])
def test_an_image_travels_as_a_data_url(given: Any, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())

    part = pl.image(tmp_path / "a.png" if given == "file" else given)

    assert part == {"type": "image_url", "image_url": {"url": PNG_URL}}


def test_an_image_may_be_a_url_or_a_figure() -> None:
    class Figure:
        def savefig(self, file: Any, format: str) -> None:
            file.write(png())

    urls = [
        pl.image(given)["image_url"]["url"]
        for given in ("https://x.org/a.png", Figure())
    ]

    assert urls == ["https://x.org/a.png", PNG_URL]


def test_an_image_may_be_a_hole_for_a_url_or_a_path(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    asks = [{"role": "user", "content": [pl.image("{{photo}}", detail="low")]}]

    sent = [
        rendered(asks, photo=photo)[0][0]["content"]
        for photo in ("https://x.org/a.png", str(tmp_path / "a.png"))
    ]

    assert sent == [
        [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
        for url in ("https://x.org/a.png", PNG_URL)
    ]


def test_sound_and_files_are_parts(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")

    assert pl.audio(b"RIFF", "wav")["input_audio"] == {
        "data": base64.b64encode(b"RIFF").decode(),
        "format": "wav",
    }
    assert pl.file(tmp_path / "a.pdf")["file"] == {
        "filename": "a.pdf",
        "file_data": "data:application/pdf;base64,JVBERg==",
    }


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: pl.image(b"no image"), "expected PNG, JPEG, GIF or WebP"),
        (lambda: pl.image("/no/such.png"), "cannot be read"),
        (lambda: pl.image(3), "expected a path, a URL, bytes"),
        (lambda: pl.audio(b"x"), "bytes and a format"),
        (lambda: pl.file(b"x"), "bytes and a name"),
    ],
    ids=["kind", "missing", "type", "format", "name"],
)
def test_what_is_no_such_medium_is_refused(make: Any, problem: str) -> None:
    with pytest.raises(pl.SpecError, match=problem):
        make()


def test_tools_and_developers_may_speak_in_a_prompt() -> None:
    function = {"name": "f", "arguments": "{}"}
    call = {"id": "c1", "type": "function", "function": function}
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "{{q}}", "name": "ada"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "4", "tool_call_id": "c1"},
    ]

    (turn,) = rendered(messages, q="2+2?")

    assert turn == [messages[0], {**messages[1], "content": "2+2?"}, *messages[2:]]


def test_an_assistant_message_at_the_end_begins_the_answer() -> None:
    messages = [
        {"role": "user", "content": "Give JSON."},
        {"role": "assistant", "content": "{"},
    ]

    assert rendered(messages) == [messages]


def test_a_prompt_is_read_back_from_its_plain_form() -> None:
    prompt = pl.Prompt(
        [{"role": "user", "content": [pl.image(png()), "{{q}}"], "name": "ada"}]
    )

    assert pl.Prompt(prompt.to_plain()) == prompt
    assert hash(pl.Prompt(prompt.to_plain())) == hash(prompt)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"role": "user", "content": []}, "expected a string or parts"),
        ({"role": "user", "content": [3]}, "expected parts such as"),
        ({"role": "user", "content": [{"text": "a"}]}, "expected parts such as"),
        ({"role": "user", "content": [{"image": "a", "detial": "low"}]}, "'detail'"),
        ({"role": "user", "content": [{"audio": 3}]}, "expected"),
        ({"role": "user", "content": {"type": "text", "text": "a"}}, "list of parts"),
        ({"role": "user", "content": "a", "nme": "b"}, "did you mean 'name'"),
        ({"role": "assistant"}, "says nothing"),
    ],
    ids=[
        *("empty", "number", "no type", "option", "sound", "one part", "misspelt"),
        "nothing",
    ],
)
def test_a_message_that_is_not_valid_is_refused(message: Any, problem: str) -> None:
    with pytest.raises(pl.SpecError, match=problem):
        pl.Prompt([message, {"role": "user", "content": "a"}])


def test_the_conversation_of_a_run_shows_an_image_as_one() -> None:
    asks = [{"role": "user", "content": ["What is it?", pl.image(png())]}]
    grid = {"model": ["fake"], "prompt": [asks]}
    experiment = pl.Experiment("images", grid=grid, dataset=[{"id": "a"}])

    results = experiment.run(client=FakeClient(), progress=False)

    assert results[0].error is None
    assert results.messages["content"][0] == "What is it?\n[image]"
    assert "[image]" in experiment._repr_html_()


# Files that prompts name.


CONFIG = """
name: photos
dataset: data/cases.csv
grid:
  model: [fake]
  prompt:
    - - role: user
        content:
          - What is on it?
          - image: "{{photo}}"
            detail: low
          - file: notes/{{name}}.txt
"""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """The folder of a config, a dataset, and the files that they name."""
    for folder in ("data/photos", "notes"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "data/cases.csv").write_text("name,photo\nada,photos/a.png\n")
    (tmp_path / "data/photos/a.png").write_bytes(png())
    (tmp_path / "notes/ada.txt").write_text("brief")
    return tmp_path


def ask(folder: Path, client: FakeClient) -> pl.Results:
    experiment = pl.load_experiment(folder / "config.yaml")
    return experiment.run(client=client, cache=folder / "cache", progress=False)


def test_files_are_found_beside_the_config_and_the_dataset(photos: Path) -> None:
    client = FakeClient("fine")

    ask(photos, client)

    ((_, photo, notes),) = (r.body["messages"][0]["content"] for r in client.requests)
    assert photo["image_url"] == {"url": PNG_URL, "detail": "low"}
    assert notes["file"] == {
        "filename": "ada.txt",
        "file_data": "data:text/plain;base64," + base64.b64encode(b"brief").decode(),
    }


def test_a_file_that_changed_is_asked_about_anew(photos: Path) -> None:
    client = FakeClient("fine")

    ask(photos, client)
    ask(photos, client)
    (photos / "notes/ada.txt").write_text("at length")
    ask(photos, client)

    assert client.calls == 2


def test_a_missing_file_is_named_before_the_first_call(photos: Path) -> None:
    client = FakeClient("fine")
    (photos / "data/photos/a.png").unlink()

    with pytest.raises(pl.SpecError, match=r"case '1': photos/a\.png cannot be read"):
        ask(photos, client)

    assert client.calls == 0


def test_a_file_of_another_kind_is_named(photos: Path) -> None:
    (photos / "data/photos/a.png").write_bytes(b"no image")

    with pytest.raises(pl.SpecError, match=r"photos/a\.png: image: expected PNG"):
        ask(photos, FakeClient("fine"))


def test_a_run_is_reopened_with_the_files_that_it_had(photos: Path) -> None:
    ran = ask(photos, FakeClient("fine"))
    (photos / "data/photos/a.png").unlink()
    (photos / "notes/ada.txt").write_text("at length")

    again = pl.find_run(ran.run).load_results()

    assert again.table["output"].tolist() == ["fine"]
    assert again.table["key"].tolist() == ran.table["key"].tolist()
    assert again.messages["content"][0] == "What is on it?\n[image]\n[file]"
