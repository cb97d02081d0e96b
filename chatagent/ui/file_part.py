"""File parts as OpenAI content parts: images, audio, PDFs, text, video."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

from chatagent.errors import BadRequest

Part = dict[str, Any]

_AUDIO = {"audio/wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}
#: First bytes of image formats: what a file is counts, not what it is called.
_IMAGES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_URL_SAFE = "!#$%&'()*+,/:;=?@[]~"


def file_content(part: Part) -> Part:
    """The content part of a file. Raises: BadRequest for what models do not take."""
    reference = part.get("providerReference")
    if reference:
        return {"type": "file", "file": {"file_id": next(iter(reference.values()))}}
    url = str(part.get("url", ""))
    media_type = str(part.get("mediaType", ""))
    data: str | None = None
    if url.startswith("data:"):
        declared, data = _read_data_url(url)
        media_type = _detect_image(data) or declared or media_type
        url = f"data:{media_type};base64,{data}"
    elif urlsplit(url).scheme not in ("http", "https"):
        raise BadRequest("a file needs an http(s) or data URL", field="parts.url")
    else:
        url = _normal(url)
    match media_type.partition("/")[0]:
        case "image":
            return {"type": "image_url", "image_url": {"url": url}}
        case "video":
            return {"type": "video_url", "video_url": {"url": url}}
        case "audio" if data is not None and media_type in _AUDIO:
            return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO[media_type]}}
        case "application" if data is not None and media_type == "application/pdf":
            name = part.get("filename") or "document.pdf"
            return {"type": "file", "file": {"filename": name, "file_data": url}}
        case "text":
            return {"type": "text", "text": url if data is None else _decode(data).decode("utf-8-sig", "replace")}
    how = "by its URL" if data is None else "in a message"
    raise BadRequest(f"models do not take {media_type or 'files without a media type'} {how}", field="parts.mediaType")


def _read_data_url(url: str) -> tuple[str, str]:
    """Media type and base64 content of a data URL."""
    head, comma, content = url[5:].partition(",")
    if not comma:
        raise BadRequest("is no data URL: there is no comma", field="parts.url")
    media_type, *parameters = head.split(";")
    if "base64" not in parameters:
        content = base64.b64encode(unquote_to_bytes(content)).decode()
    return media_type, content


def _detect_image(data: str) -> str | None:
    try:
        start = base64.b64decode(data[:32] + "=" * (-len(data[:32]) % 4))
    except binascii.Error:
        return None
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    return next((name for magic, name in _IMAGES if start.startswith(magic)), None)


def _decode(data: str) -> bytes:
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4))
    except binascii.Error as error:
        raise BadRequest("is not base64", field="parts.url") from error


def _normal(url: str) -> str:
    """A URL as browsers write it: spaces and the like escaped, a bare host with its slash."""
    parts = urlsplit(url)
    path = quote(parts.path, safe=_URL_SAFE) or "/"
    query = quote(parts.query, safe=_URL_SAFE)
    return urlunsplit((parts.scheme, parts.netloc.lower(), path, query, quote(parts.fragment, safe=_URL_SAFE)))
