"""Contents of messages: a string, or parts of text, images, audio and files.

Parts are what the API takes, and are sent as they are given, those of unknown types
too. `image`, `audio` and `file` make them of what a notebook has.
"""

from __future__ import annotations

import base64
import io
import mimetypes
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from promptlab.errors import SpecError, brief
from promptlab.paths import user_path

Content = str | Sequence[Mapping[str, Any]] | None
"""A string, parts, or None, as of an assistant's message that only calls tools."""

IMAGE_MOST_TOKENS = 50_000
"""What bounds the tokens of an image where a budget has to be kept. The most of
OpenAI's models is gpt-4o-mini's, 2,833 and 5,667 for each of at most 8 tiles of 512
pixels (OpenAI, "Images and vision": calculating costs)."""

IMAGES = ("image_url", "input_image", "image")
"""Types of parts that hold an image."""

AUDIO_FORMATS = {".wav": "wav", ".mp3": "mp3"}


def text(content: str) -> dict[str, Any]:
    """A part of text."""
    return {"type": "text", "text": content}


def image(source: Any, *, detail: str | None = None) -> dict[str, Any]:
    """A part with an image: a path, a URL, bytes, a PIL image or a matplotlib figure.

    What is no URL travels in the request, as a data URL.

    Raises:
        SpecError: it is none of these, or no image of a kind that has a name.
    """
    url = source if _is_url(source) else _image_url(source)
    return {
        "type": "image_url",
        "image_url": {"url": url} | ({} if detail is None else {"detail": detail}),
    }


def audio(source: str | os.PathLike[str] | bytes, format: str = "") -> dict[str, Any]:
    """A part with sound: the path of a .wav or .mp3 file, or bytes of that format.

    Raises:
        SpecError: the format is not known, or the file cannot be read.
    """
    if not isinstance(source, bytes):
        format = format or AUDIO_FORMATS.get(Path(source).suffix.lower(), "")
    if not format:
        raise SpecError("audio: expected a .wav or .mp3 file, or bytes and a format")
    encoded = base64.b64encode(_read(source)).decode()
    return {"type": "input_audio", "input_audio": {"data": encoded, "format": format}}


def file(source: str | os.PathLike[str]) -> dict[str, Any]:
    """A part with a file, such as a PDF, under its name.

    Raises:
        SpecError: it cannot be read.
    """
    path = user_path(source)
    url = _data_url(_read(source), mimetypes.guess_type(path.name)[0])
    return {"type": "file", "file": {"filename": path.name, "file_data": url}}


def shown(content: Content) -> str:
    """A content as people read it: its text, and what else there is in brackets."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(map(_shown_part, content))


def media_in(content: Content) -> Iterator[str]:
    """What a content has beside text, part by part: `image`, `audio`, ..."""
    for part in content if isinstance(content, (list, tuple)) else ():
        if not isinstance(part.get("text"), str):
            yield _name_of(part)


def images_in(content: Any) -> int:
    """How many images a content has."""
    parts = content if isinstance(content, (list, tuple)) else ()
    return sum(isinstance(p, Mapping) and p.get("type") in IMAGES for p in parts)


def texts_in(value: Any) -> Iterator[str]:
    """Every string of a content that may have holes, in order; types have none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from texts_in(item) if name != "type" else ()
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_in(item)


def checked(content: Any, role: str) -> Any:
    """The content of a message of a prompt.

    Raises:
        SpecError: it is no string, and no list of parts with a type.
    """
    if isinstance(content, str) or (content is None and role == "assistant"):
        return content
    if isinstance(content, Mapping) and "type" in content:
        raise SpecError(
            f"expected a list of parts as content; write [{brief(content)}]"
        )
    if not isinstance(content, (list, tuple)) or not content:
        raise SpecError(f"expected a string or parts as content, got {brief(content)}")
    parts = [text(part) if isinstance(part, str) else part for part in content]
    for part in parts:
        if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
            raise SpecError(
                "expected parts such as {type: text, text: ...} or {type: image_url, "
                f"image_url: {{url: ...}}}}, got {brief(part)}"
            )
    return parts


def _shown_part(part: Mapping[str, Any]) -> str:
    if isinstance(said := part.get("text"), str):
        return said
    return f"[{_name_of(part)}]"


def _name_of(part: Mapping[str, Any]) -> str:
    kind = str(part.get("type", "part"))
    return kind.removeprefix("input_").removesuffix("_url")


def _is_url(source: Any) -> bool:
    starts = ("http://", "https://", "data:", "{{")
    return isinstance(source, str) and source.startswith(starts)


def _image_url(source: Any) -> str:
    if isinstance(source, (str, bytes, os.PathLike)):
        content = _read(source)
        if (kind := _kind(content)) is None:
            raise SpecError(
                f"image: expected PNG, JPEG, GIF or WebP, got {source!r:.80}"
            )
        return _data_url(content, kind)
    buffer = io.BytesIO()
    if hasattr(source, "savefig"):  # a figure of matplotlib
        source.savefig(buffer, format="png")
    elif hasattr(source, "save"):  # an image of PIL
        source.save(buffer, format="PNG")
    else:
        raise SpecError(
            "image: expected a path, a URL, bytes, a PIL image or a matplotlib figure, "
            f"got {type(source).__name__}"
        )
    return _data_url(buffer.getvalue(), "image/png")


def _kind(content: bytes) -> str | None:
    """The media type of an image, by how it begins."""
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    begins = {b"\x89PNG": "image/png", b"\xff\xd8": "image/jpeg", b"GIF8": "image/gif"}
    return next((kind for b, kind in begins.items() if content.startswith(b)), None)


def _read(source: str | os.PathLike[str] | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    path = user_path(source)
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from error


def _data_url(content: bytes, kind: str | None) -> str:
    encoded = base64.b64encode(content).decode()
    return f"data:{kind or 'application/octet-stream'};base64,{encoded}"
