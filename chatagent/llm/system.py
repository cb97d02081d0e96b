"""The system prompt: text, or a message whose content parts may carry `cache_control`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatagent.errors import ConfigError

#: Text, or a message: `{"content": [{"type": "text", "text": …, "cache_control": {"type": "ephemeral"}}]}`.
System = str | Mapping[str, Any]


def system_messages(system: System | None, instructions: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The prompt and further instructions as one message; none when there is nothing to say.

    Instructions follow the prompt, so that what the provider has cached of it stays valid.
    """
    if system is None:
        return [{"role": "system", "content": "\n\n".join(instructions)}] if instructions else []
    message = {"role": "system", "content": system} if isinstance(system, str) else {"role": "system", **system}
    content = message.get("content")
    if isinstance(content, str):
        return [{**message, "content": "\n\n".join([content, *instructions])}]
    if not isinstance(content, Sequence):
        raise ConfigError("a system prompt must be text, or a message whose `content` is text or a list of parts")
    return [{**message, "content": [*content, *({"type": "text", "text": text} for text in instructions)]}]
