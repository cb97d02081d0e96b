"""Summaries by a model: what a `Compaction` needs to sum a conversation up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from chatagent.llm.compaction import Summarize
from chatagent.llm.error import ModelError
from chatagent.llm.plan import Message
from chatagent.llm.stream_text import stream_text
from chatagent.ui import encode_value

#: What the model is asked for when nothing else is said.
SUMMARY_PROMPT = (
    "Sum up the conversation that you are given, for an assistant who will carry it on without having seen it. Keep "
    "what the user wants, what was decided, names, numbers, ids and links, what the tools found, and what is still to "
    "be done. Answer with the summary alone."
)


def summarize_with(
    model: str, *, prompt: str = SUMMARY_PROMPT, **litellm_params: Any
) -> Callable[[Summarize[Any]], Awaitable[str]]:
    """For `Compaction.summarize`: lets `model` do it, in one call without tools. A failure raises, nothing is lost."""

    async def summarize(event: Summarize[Any]) -> str:
        question = [{"role": "user", "content": transcript(event.messages)}]
        summary = await stream_text(model, question, system=prompt, tools=(), **litellm_params).text
        if not summary.strip():
            raise ModelError("the model gave no summary")
        return summary

    return summarize


def transcript(messages: Sequence[Message]) -> str:
    """A conversation as text, so that a model that has none of the tools can read it."""
    return "\n\n".join(line for message in messages for line in _lines(message))


def _lines(message: Message) -> Iterator[str]:
    role = str(message.get("role", ""))
    names = {"tool": "tool result"}
    if text := _text(message.get("content")):
        yield f"[{names.get(role, role)}]\n{text}"
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        yield f"[tool call] {function.get('name', '')}({function.get('arguments', '')})"


def _text(content: Any) -> str:
    if isinstance(content, str) or content is None:
        return content or ""
    if not isinstance(content, list):
        return encode_value(content).decode()
    return "\n".join(part.get("text") or f"[{part.get('type', 'file')}]" for part in content)
