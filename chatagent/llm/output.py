"""What the model reads of a tool's output, in OpenAI's form. Source: AI SDK reference, `toModelOutput`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatagent.ui import model_output

#: What the AI SDK's `toModelOutput` says with `{"type": …, "value": …}`.
_SDK_TEXT = ("text", "error-text")
_SDK_JSON = ("json", "error-json")


def told_output(chosen: Any) -> Any:
    """What a `to_model_output` chose, as the content of a tool message: text, or content parts; all else as JSON.

    The AI SDK's own form, `{"type": "text" | "json" | "content", "value": …}`, is understood too.
    """
    if isinstance(chosen, Mapping) and chosen.keys() == {"type", "value"}:
        value = chosen["value"]
        if chosen["type"] in _SDK_TEXT:
            return str(value)
        if chosen["type"] in _SDK_JSON:
            return model_output(value)
        if chosen["type"] == "content" and isinstance(value, list):
            return model_output([_part(part) for part in value], content=True)
    return model_output(chosen, content=True)


def _part(part: Any) -> Any:
    """A content part of the AI SDK in OpenAI's form; OpenAI's own stays as it is."""
    if not isinstance(part, Mapping):
        return part
    media = str(part.get("mediaType") or "image/png")
    match part.get("type"):
        case "media" | "image-data" | "file-data" if media.startswith("image/"):
            return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{part.get('data')}"}}
        case "image-url":
            return {"type": "image_url", "image_url": {"url": part.get("url")}}
    return dict(part)
