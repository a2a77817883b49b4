"""Images: how many tokens they take, by the rules that OpenAI publishes.

"Images and vision" (developers.openai.com/api/docs/guides/images-vision, calculating
costs, as of September 2026) has two. By tiles, an image at `high` is fitted into 2,048
pixels, then its shorter side to 768: a base, and so much for each tile of 512 pixels;
at `low` it is the base. By patches, it is fitted into 512 pixels at `low`, else into
the model's bounds: one for each patch of 32 pixels, times the model's multiplier.
`auto` is taken for `high`, but where it is documented to be `original`.

Not known are the tokens of images at other models, those whose size is not known, as
they are given by a URL, and those of sound and files.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from promptlab.spec.capabilities import own_name
from promptlab.spec.content import images_in, media_in

MOST_TOKENS = 50_000
"""What bounds the tokens of an image where a budget has to be kept: gpt-4o-mini takes
2,833 and 5,667 for each of at most 8 tiles, 48,169; other models at most 30,000 patches
times 1.2, or 1,536 times 2.46."""

HEADER_BYTES = 65_536
"""How much of an image is read first for its size; JPEG may have it further on."""

LOW_PIXELS = 512


class Tiles(NamedTuple):
    """The rule of models that see tiles."""

    base: int
    tile: int

    def tokens(self, width: int, height: int, detail: str) -> int:
        """The tokens of an image of so many pixels."""
        if detail == "low":
            return self.base
        scale = min(1.0, 2048 / max(width, height))
        scale *= min(1.0, 768 / (min(width, height) * scale))
        across, down = (math.ceil(round(n * scale) / 512) for n in (width, height))
        return self.base + self.tile * across * down


class Patches(NamedTuple):
    """The rule of models that see patches."""

    multiplier: float
    most: int = 1_536
    """Patches at `high`."""
    longest: int = 2_048
    """Pixels of the longer side at `high`."""
    auto: str = "high"
    """What `auto` is."""

    def tokens(self, width: int, height: int, detail: str) -> int:
        """The tokens of an image of so many pixels."""
        detail = self.auto if detail == "auto" else detail
        if detail != "original":
            longest = LOW_PIXELS if detail == "low" else self.longest
            scale = min(1.0, longest / max(width, height))
            width, height = round(width * scale) or 1, round(height * scale) or 1
        patches = math.ceil(width / 32) * math.ceil(height / 32)
        if detail != "original" and patches > self.most:
            scale = math.sqrt(32 * 32 * self.most / (width * height))
            sides = width * scale / 32, height * scale / 32
            scale *= min(math.floor(side) / side for side in sides)
            across, down = (math.ceil(round(n * scale) / 32) for n in (width, height))
            patches = across * down
        return math.ceil(patches * self.multiplier)


RULES: tuple[tuple[str, Tiles | Patches], ...] = (
    (r"gpt-4o-mini", Tiles(2_833, 5_667)),
    (r"gpt-4o|gpt-4\.1|gpt-4\.5-preview|gpt-4-turbo", Tiles(85, 170)),
    (r"gpt-5|gpt-5-chat", Tiles(70, 140)),
    (r"o1|o1-pro|o3", Tiles(75, 150)),
    (r"computer-use-preview", Tiles(65, 129)),
    (r"gpt-(4\.1|5|5\.4)-mini", Patches(1.62)),
    (r"gpt-(4\.1|5|5\.4)-nano", Patches(2.46)),
    (r"o4-mini", Patches(1.72)),
    (r"gpt-(5\.6|6)(-[a-z]+)?", Patches(1.2, 2_500, 65_535, "original")),
)
"""The models of each rule; snapshots follow that of their model."""

SNAPSHOT = r"(-\d{4}-\d{2}-\d{2}|-latest)?"


def image_rule(model: str) -> Tiles | Patches | None:
    """The rule of a model; None if none is published."""
    name = own_name(model)
    found = (
        rule for names, rule in RULES if re.fullmatch(f"({names}){SNAPSHOT}", name)
    )
    return next(found, None)


def media_tokens(
    content: Any, rule: Tiles | Patches | None
) -> tuple[int, Counter[str]]:
    """The tokens of a message's images, and what it holds of which they are not known,
    such as `image by URL`, and how often."""
    tokens = 0
    unknown = Counter(kind for kind in media_in(content) if kind != "image")
    for url, detail in images_in(content):
        if rule is None:
            unknown["image"] += 1
        elif detail == "low" and isinstance(rule, Tiles):
            tokens += rule.base
        elif (size := image_size(url)) is None:
            unknown["image" if url.startswith("data:") else "image by URL"] += 1
        else:
            tokens += rule.tokens(*size, detail)
    return tokens, unknown


def image_size(url: str) -> tuple[int, int] | None:
    """The width and height in pixels of an image in a data URL; None if it has none, or
    is no PNG, JPEG, GIF or WebP."""
    head, comma, data = url.partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        return None
    for part in (data[: HEADER_BYTES // 3 * 4], data):
        try:
            size = next(_sizes(base64.b64decode(part)), None)
        except (binascii.Error, ValueError, struct.error, IndexError):
            continue
        if size is not None and min(size) > 0:
            return size
    return None


def _sizes(content: bytes) -> Iterator[tuple[int, int]]:
    """The size of an image, by the header of its format."""
    if content.startswith(b"\x89PNG"):
        yield struct.unpack_from(">II", content, 16)
    elif content.startswith(b"GIF8"):
        yield struct.unpack_from("<HH", content, 6)
    elif content.startswith(b"\xff\xd8"):
        at = 2
        while at < len(content):
            marker, length = struct.unpack_from(">HH", content, at)
            if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
                height, width = struct.unpack_from(">HH", content, at + 5)
                yield width, height
            at += 2 + length
    elif content[8:16] == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        yield width & 0x3FFF, height & 0x3FFF
    elif content[8:16] == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif content[8:16] == b"WEBPVP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        yield width, int.from_bytes(content[27:30], "little") + 1
