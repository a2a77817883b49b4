"""Contents of messages: a string, or parts of text, images, audio and files.

Parts are what the API takes, and are sent as they are given, those of unknown types
too. `image`, `audio` and `file` make them of what a notebook has. A part without a
type, such as `{image: "{{photo}}"}`, names a file, which is read when the prompt is
rendered: what is sent, and hashed for the key, is its content.
"""

from __future__ import annotations

import base64
import hashlib
import io
import mimetypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from promptlab.errors import SpecError, brief, did_you_mean
from promptlab.paths import check_regular, user_path

Content = str | Sequence[Mapping[str, Any]] | None
"""A string, parts, or None, as of an assistant's message that only calls tools."""

IMAGES = ("image_url", "input_image", "image")
"""Types of parts that hold an image."""

SHORT = ("image", "audio", "file")
"""What names a file in a part without a type."""

AUDIO_FORMATS = {".wav": "wav", ".mp3": "mp3"}

SMALL_BYTES = 3_072
"""Below this, what a file holds stands itself where else its SHA-256 would."""

FileReader = Callable[[str], bytes]
"""Gives the content of a file by its name in a prompt."""


@dataclass(frozen=True)
class Files:
    """Reads the files that prompts name, beside the files they are named in."""

    folders: tuple[Path, ...] = ()
    """Where relative names are looked for, before the working directory."""

    def __call__(self, name: str) -> bytes:
        """The content of a file; raises `SpecError` if it cannot be read."""
        return _read(self.path(name))

    def path(self, name: str) -> Path:
        """Where the file is: in the first folder that has it."""
        path = user_path(name.removeprefix("file://"))
        places = [folder / path for folder in self.folders]
        return next((place for place in places if place.exists()), path)


def text(content: str) -> dict[str, Any]:
    """A part of text."""
    return {"type": "text", "text": content}


def image(source: Any, *, detail: str | None = None) -> dict[str, Any]:
    """A part with an image: a path, a URL, bytes, a PIL image or a matplotlib figure.

    A file is read now, and sent in the request. A string with holes, such as
    `"{{photo}}"`, is a path or a URL once they are filled.

    Args:
        detail: `low`, `high` or `auto`: how closely the model looks, and what it costs.

    Raises:
        SpecError: it is not one of these, or not a PNG, JPEG, GIF or WebP image.
    """
    more = {} if detail is None else {"detail": detail}
    if isinstance(source, str) and "{{" in source:
        return {"image": source} | more
    url = source if is_url(source) else _image_url(source)
    return {"type": "image_url", "image_url": {"url": url} | more}


def audio(source: str | os.PathLike[str] | bytes, format: str = "") -> dict[str, Any]:
    """A part with sound: the path of a .wav or .mp3 file, or bytes of that format.

    A file is read now; a path with holes, when they are filled.

    Raises:
        SpecError: the format is not known, or the file cannot be read.
    """
    if isinstance(source, str) and "{{" in source:
        return {"audio": source} | ({"format": format} if format else {})
    if not isinstance(source, bytes):
        format = format or AUDIO_FORMATS.get(Path(source).suffix.lower(), "")
    if not format:
        raise SpecError("audio: expected a .wav or .mp3 file, or bytes and a format")
    encoded = base64.b64encode(_bytes_of(source)).decode()
    return {"type": "input_audio", "input_audio": {"data": encoded, "format": format}}


def file(source: str | os.PathLike[str] | bytes, name: str = "") -> dict[str, Any]:
    """A part with a file, such as a PDF: its path, or bytes and a name.

    A file is read now; a path with holes, when they are filled.

    Raises:
        SpecError: it cannot be read, or bytes have no name.
    """
    if isinstance(source, str) and "{{" in source:
        return {"file": source} | ({"name": name} if name else {})
    if not name and isinstance(source, bytes):
        raise SpecError("file: expected a path, or bytes and a name")
    name = name or Path(os.fsdecode(source)).name
    url = _data_url(_bytes_of(source), mimetypes.guess_type(name)[0])
    return {"type": "file", "file": {"filename": name, "file_data": url}}


def digest(content: bytes) -> str:
    """What a file is known by: its SHA-256, or itself in base64 if it is small."""
    if len(content) < SMALL_BYTES:
        return f"base64,{base64.b64encode(content).decode()}"
    return hashlib.sha256(content).hexdigest()


def is_short(part: Mapping[str, Any]) -> bool:
    """Whether a part names a file, or a URL, instead of holding what is sent."""
    return "type" not in part and any(name in part for name in SHORT)


def whole(part: Mapping[str, Any], read: FileReader) -> dict[str, Any]:
    """The part that is sent for one that names a file.

    Raises:
        SpecError: the file cannot be read, or is of another kind.
    """
    options = dict(part)
    kind = next(name for name in SHORT if name in options)
    name = options.pop(kind)
    if kind == "image" and is_url(name):
        return image(name, **options)
    path, content = Path(name), read(name)
    try:
        if kind == "image":
            return image(content, **options)
        if kind == "audio":
            options.setdefault("format", AUDIO_FORMATS.get(path.suffix.lower(), ""))
            return audio(content, **options)
        return file(content, **{"name": path.name, **options})
    except SpecError as error:
        raise SpecError(f"{name}: {error}") from error


def is_url(source: Any) -> bool:
    """Whether it is the address of an image, or a data URL."""
    starts = ("http://", "https://", "data:")
    return isinstance(source, str) and source.startswith(starts)


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


def images_in(content: Any) -> Iterator[tuple[str, str]]:
    """The URL and the detail of each image of a content; empty where it has none."""
    for part in content if isinstance(content, (list, tuple)) else ():
        if isinstance(part, Mapping) and part.get("type") in IMAGES:
            held = part.get("image_url")
            more = held if isinstance(held, Mapping) else {"url": held, **part}
            url, detail = more.get("url"), more.get("detail")
            yield url if isinstance(url, str) else "", str(detail or "auto")


def text_in(content: Any) -> str:
    """The text of a content, without what else it holds."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, (list, tuple)) else ()
    texts = (part.get("text") for part in parts if isinstance(part, Mapping))
    return "\n".join(text for text in texts if isinstance(text, str))


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
    return [_checked_part(part) for part in content]


OPTIONS = {"image": ("detail",), "audio": ("format",), "file": ("name",)}
"""What a part that names a file may say beside it."""


def _checked_part(part: Any) -> Mapping[str, Any]:
    if isinstance(part, str):
        return text(part)
    if isinstance(part, Mapping) and isinstance(part.get("type"), str):
        return part
    if not isinstance(part, Mapping) or not is_short(part):
        raise SpecError(
            "expected parts such as {type: text, text: ...} or {image: a.png}, "
            f"got {brief(part)}"
        )
    kind = next(name for name in SHORT if name in part)
    for name in part:
        if name not in (kind, *OPTIONS[kind]):
            (option,) = OPTIONS[kind]
            hint = did_you_mean(str(name), OPTIONS[kind]) or f"; it may have {option!r}"
            raise SpecError(f"{kind}: unknown member {name!r} of the part{hint}")
    if isinstance(part[kind], (str, os.PathLike)):
        return {**part, kind: os.fspath(part[kind])}
    if kind != "image":
        raise SpecError(f"{kind}: expected a path, got {brief(part[kind])}")
    return image(part[kind], detail=part.get("detail"))


def _shown_part(part: Mapping[str, Any]) -> str:
    if isinstance(text := part.get("text"), str):
        return text
    return f"[{_name_of(part)}]"


def _name_of(part: Mapping[str, Any]) -> str:
    kind = part.get("type") or next((n for n in SHORT if n in part), "part")
    return str(kind).removeprefix("input_").removesuffix("_url")


def _image_url(source: Any) -> str:
    if isinstance(source, (str, bytes, os.PathLike)):
        content = _bytes_of(source)
        if (kind := _kind(content)) is None:
            raise SpecError(
                f"image: expected PNG, JPEG, GIF or WebP, got {content[:16]!r}..."
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


def _bytes_of(source: str | os.PathLike[str] | bytes) -> bytes:
    return source if isinstance(source, bytes) else _read(user_path(source))


def _read(path: Path) -> bytes:
    try:
        check_regular(path)
        status = path.stat()
        return _content(path.absolute(), status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=8)
def _content(path: Path, changed_ns: int, size: int) -> bytes:
    """The content of a file; it is read again once it has changed."""
    return path.read_bytes()


@lru_cache(maxsize=8)
def _data_url(content: bytes, kind: str | None) -> str:
    encoded = base64.b64encode(content).decode()
    return f"data:{kind or 'application/octet-stream'};base64,{encoded}"
