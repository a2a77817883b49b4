"""Images: their size by their headers, and their tokens by OpenAI's rules."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

import promptlab as pl
from promptlab.money.images import image_rule, image_size, media_tokens
from promptlab.testing import FakeClient


def url(width: int, height: int, kind: str = "PNG", **options: Any) -> str:
    """A data URL of an image of that size."""
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, kind, **options)
    encoded = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{kind.lower()};base64,{encoded}"


def part(source: str, detail: str = "auto") -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": source, "detail": detail}}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"exif": b"Exif\0\0" + bytes(60_000), "comment": bytes(30_000)}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"exif": b"Exif\0\0" + bytes(100)}),
    ],
    ids=["png", "gif", "jpeg", "progressive", "late", "webp", "lossless", "extended"],
)
def test_the_size_of_an_image_is_read_from_its_header(kind: str, options: Any) -> None:
    assert image_size(url(301, 203, kind, **options)) == (301, 203)


@pytest.mark.parametrize(
    "source",
    [
        "https://x.org/a.png",
        "data:image/png;base64,iVBORw0KGgo=",
        "data:image/jpeg;base64,/9j/4AAQ",
        "data:image/png;base64,!",
        "data:text/plain;base64,aGVsbG8=",
        "",
    ],
    ids=["url", "cut", "no frame", "no base64", "text", "empty"],
)
def test_the_size_of_what_says_none_is_not_known(source: str) -> None:
    assert image_size(source) is None


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        # The examples of OpenAI's guide.
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4.1-mini", (1024, 1024), "high", 1659),  # 1,024 patches × 1.62
        ("o4-mini", (1800, 2400), "high", 2498),  # 1,452 × 1.72
        # The same rules at other models and details.
        ("gpt-4o", (1024, 1024), "auto", 765),
        ("gpt-4o-mini-2024-07-18", (512, 512), "auto", 2_833 + 5_667),
        ("gpt-4.1-2025-04-14", (300, 200), "high", 85 + 170),
        ("gpt-5", (1024, 1024), "high", 70 + 4 * 140),
        ("o3", (1024, 1024), "high", 75 + 4 * 150),
        ("gpt-6-luna", (640, 480), "high", 360),
        ("gpt-6-astra", (640, 480), "low", 231),
        ("gpt-6-astra", (6400, 1440), "auto", 10_800),
        ("openai/gpt-5-nano", (32, 32), "auto", 3),
    ],
    ids=lambda value: str(value).replace(" ", ""),
)
def test_the_tokens_of_an_image_follow_the_published_rules(
    model: str, size: tuple[int, int], detail: str, tokens: int
) -> None:
    rule = image_rule(model)

    assert rule is not None
    assert rule.tokens(*size, detail) == tokens


@pytest.mark.parametrize("model", ["gpt-5.2", "gpt-5-codex-mini", "claude", "gpt-4"])
def test_models_without_a_published_rule_have_none(model: str) -> None:
    assert image_rule(model) is None


def test_what_is_not_counted_is_named() -> None:
    content = [
        {"type": "text", "text": "Look."},
        part(url(1024, 1024)),
        part("https://x.org/a.png"),
        part("https://x.org/b.png", "low"),
        part("data:image/svg;base64,PHN2Zz4="),
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f1"}},
    ]

    tokens, unknown = media_tokens(content, image_rule("gpt-4o"))

    assert tokens == 765 + 85
    assert unknown == {"image by URL": 1, "image": 1, "audio": 1, "file": 1}
    assert media_tokens(content[:4], image_rule("claude")) == (0, {"image": 3})


def experiment(model: str, source: str, cases: int = 3) -> pl.Experiment:
    asks = [{"role": "user", "content": ["What is it, {{n}}?", part(source)]}]
    grid = {"model": [model], "prompt": {"p": asks}, "max_tokens": [10]}
    return pl.Experiment("t", grid=grid, dataset=[{"n": i} for i in range(cases)])


def test_a_plan_counts_images_and_says_what_it_does_not() -> None:
    client = FakeClient("a cat")

    counted = experiment("gpt-4o", url(1024, 1024)).plan(client=client)
    unsized = experiment("gpt-4o", "https://x.org/a.png").plan(client=client)
    unknown = experiment("fake", url(8, 8)).plan(client=client)

    assert counted.not_counted == {}
    assert counted.notes == ()
    assert counted.input_tokens.high - unsized.input_tokens.high > 3 * 765
    assert unsized.notes == ("not counted: 3 images by URL",)
    assert unknown.notes == ("not counted: 3 images",)
    for shown in (repr(unsized), unsized._repr_html_()):
        assert "not counted: 3 images by URL" in shown


def test_a_budget_reserves_a_bound_for_an_image_whatever_its_bytes() -> None:
    """An image of 1 MB is not a million tokens."""
    source = url(64, 64, "BMP") + "A" * 1_000_000
    client = FakeClient("a cat")
    prices = {"fake": {"input": 1.0, "output": 1.0}}
    asked = experiment("fake", source, 1)

    refused = asked.run(client=client, prices=prices, budget_usd=0.05, progress=False)
    made = asked.run(client=client, prices=prices, budget_usd=0.06, progress=False)

    assert (refused.totals.calls, made.totals.calls) == (0, 1)
