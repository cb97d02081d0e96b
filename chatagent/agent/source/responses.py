"""Events of OpenAI's Responses API, as `client.responses.create(stream=True)` and `client.responses.stream()` give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatagent.agent.source.writer import SourceFailed, Writer
from chatagent.ids import new_id

#: Items whose arguments come from the model, for a tool of the author's.
_FUNCTIONS = {"function_call": "arguments", "custom_tool_call": "input"}
#: What OpenAI calls the ways to end early.
_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
#: Fields of a provider's call that say what it did rather than what it was asked.
_RESULTS = ("results", "outputs", "output", "error", "result")


class ResponsesReader:
    """Text, refusals, reasoning summaries, calls, and the provider's own tools as calls that it has executed."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        #: Call id by item id.
        self._calls: dict[str, str] = {}
        self._asked = self._refused = False

    @staticmethod
    def reads(piece: Any) -> bool:
        """Whether `piece` is one of these."""
        kind = getattr(piece, "type", None)
        return isinstance(kind, str) and (kind.startswith("response.") or (kind == "error" and hasattr(piece, "code")))

    def add(self, event: Any) -> None:
        """Write one event. Raises: SourceFailed when it tells of an error."""
        writer = self._writer
        match event.type:
            case "response.created":
                writer.end_step()
                self._asked = self._refused = False
            case "response.output_text.delta":
                writer.text(event.delta, f"{event.item_id}:{event.content_index}")
            case "response.refusal.delta":
                self._refused = True
                writer.text(event.delta, f"{event.item_id}:{event.content_index}")
            case "response.reasoning_summary_text.delta":
                writer.reasoning(event.delta, f"{event.item_id}:{event.summary_index}")
            case "response.reasoning_text.delta":
                writer.reasoning(event.delta, f"{event.item_id}:{event.content_index}")
            case "response.output_item.added":
                self._begin(event.item)
            case "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta":
                writer.call_delta(self._calls.get(event.item_id, ""), event.delta)
            case "response.output_item.done":
                self._item(event.item)
            case "response.output_text.annotation.added":
                self._annotation(event.annotation)
            case "response.completed" | "response.incomplete":
                self._end(event.response)
            case "response.failed":
                raise SourceFailed(getattr(event.response.error, "message", None) or "the response failed")
            case "error":
                raise SourceFailed(event.message)

    def close(self) -> None:
        """The stream is over."""

    def _begin(self, item: Any) -> None:
        if item.type in _FUNCTIONS:
            self._asked = True
            self._calls[item.id or item.call_id] = item.call_id
            marks = {"inputEncoding": "text"} if item.type == "custom_tool_call" else {}
            self._writer.start_call(item.call_id, item.name, **marks)
        elif item.type.endswith("_call"):
            self._writer.start_call(item.id, _builtin(item), providerExecuted=True, dynamic=True)

    def _item(self, item: Any) -> None:
        """An item is whole; it may come without its pieces before."""
        if item.type in _FUNCTIONS:
            self._begin(item)
            given = getattr(item, _FUNCTIONS[item.type])
            self._writer.call(item.call_id, item.name, given if item.type == "function_call" else {"input": given})
        elif item.type.endswith("_call"):
            self._begin(item)
            self._executed(item)
        elif item.type in ("message", "reasoning"):
            self._writer.end_parts()

    def _executed(self, item: Any) -> None:
        fields: dict[str, Any] = item.model_dump(mode="json", exclude_none=True)
        image = fields.pop("result", None) if item.type == "image_generation_call" else None
        told = {name: fields[name] for name in _RESULTS if name in fields}
        asked = {name: value for name, value in fields.items() if name not in (*_RESULTS, "id", "type", "status")}
        self._writer.call(item.id, _builtin(item), asked)
        if fields.get("status") == "failed" or "error" in told:
            self._writer.output_error(item.id, str(told.get("error") or "failed"))
        else:
            self._writer.output(item.id, told or {"status": fields.get("status", "completed")})
        if image:
            media_type = f"image/{fields.get('output_format', 'png')}"
            self._writer.content({"type": "file", "url": f"data:{media_type};base64,{image}", "mediaType": media_type})

    def _annotation(self, annotation: Any) -> None:
        fields = annotation if isinstance(annotation, Mapping) else annotation.model_dump()
        if fields.get("type") == "url_citation" and fields.get("url"):
            title = {"title": fields["title"]} if fields.get("title") else {}
            self._writer.content({"type": "source-url", "sourceId": new_id(), "url": fields["url"], **title})

    def _end(self, response: Any) -> None:
        why = getattr(response.incomplete_details, "reason", None)
        reason = _INCOMPLETE.get(why or "", "other") if why else "tool_calls" if self._asked else "stop"
        self._writer.finish("content_filter" if self._refused else reason)
        if (usage := response.usage) is not None:
            self._writer.used(
                inputTokens=usage.input_tokens,
                outputTokens=usage.output_tokens,
                totalTokens=usage.total_tokens,
                reasoningTokens=getattr(usage.output_tokens_details, "reasoning_tokens", None),
                cachedInputTokens=getattr(usage.input_tokens_details, "cached_tokens", None),
            )
        # The step stays open: whoever runs the calls writes their outputs into it.
        self._writer.end_parts()
        self._writer.end_calls()


def _builtin(item: Any) -> str:
    name: str = getattr(item, "name", None) or item.type.removesuffix("_call")
    return name
