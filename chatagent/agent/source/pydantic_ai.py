"""What pydantic-ai gives: events of a run, and messages where there are no events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from chatagent.agent.source.writer import Writer

#: Tools that the provider runs by itself.
_BUILTIN = {"providerExecuted": True, "dynamic": True}
_CALLS = ("tool-call", "builtin-tool-call")


class PydanticAiReader:
    """Reads the events of `run_stream_events`, `iter` and node streams, and `ModelRequest`s and `ModelResponse`s."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        #: Calls of the response by the index of their part.
        self._calls: dict[int, str] = {}
        #: Characters of each part that a growing response has told already.
        self._told: dict[int, int] = {}

    @staticmethod
    def reads(piece: Any) -> bool:
        """Whether `piece` is one of these."""
        if getattr(piece, "kind", None) in ("request", "response") and hasattr(piece, "parts"):
            return True
        return isinstance(getattr(piece, "event_kind", None), str) or is_run_result(piece)

    def add(self, piece: Any) -> None:
        """Write one event or message."""
        match getattr(piece, "event_kind", None) or getattr(piece, "kind", None):
            case "part_start":
                self._start(piece.index, piece.part)
            case "part_delta":
                self._delta(piece.index, piece.delta)
            case "part_end" if piece.part.part_kind in _CALLS:
                self._whole(piece.part)
            case "part_end":
                self._writer.end_parts()
            case "function_tool_call" | "output_tool_call":
                self._whole(piece.part)
            case "function_tool_result" | "output_tool_result":
                self._result(piece.part)
            case "deferred_tool_requests":
                self._approvals(piece.requests)
            case "agent_run_result":
                self._end(piece.result)
            case "request":
                self._request(piece)
            case "response":
                self._response(piece)
            case None:
                for message in piece.new_messages():
                    self.add(message)
                self._end(piece)

    def close(self) -> None:
        """The stream is over."""

    def _start(self, index: int, part: Any) -> None:
        writer = self._writer
        match part.part_kind:
            case "text":
                writer.text(part.content)
            case "thinking":
                writer.reasoning(part.content)
            case "tool-call" | "builtin-tool-call":
                self._calls[index] = part.tool_call_id
                writer.start_call(part.tool_call_id, part.tool_name, **_marks(part))
                if isinstance(part.args, str):
                    writer.call_delta(part.tool_call_id, part.args)
            case "builtin-tool-return":
                self._result(part)
            case "file":
                content = part.content
                writer.content({"type": "file", "url": content.data_uri, "mediaType": content.media_type})

    def _delta(self, index: int, delta: Any) -> None:
        match delta.part_delta_kind:
            case "text":
                self._writer.text(delta.content_delta)
            case "thinking":
                self._writer.reasoning(delta.content_delta)
            case "tool_call" if isinstance(delta.args_delta, str):
                self._writer.call_delta(self._calls.get(index, ""), delta.args_delta)

    def _whole(self, part: Any) -> None:
        self._writer.call(part.tool_call_id, part.tool_name, part.args, **_marks(part))

    def _result(self, part: Any) -> None:
        call_id, name = part.tool_call_id, part.tool_name
        if part.part_kind == "retry-prompt":
            self._writer.output_error(call_id, part.model_response(), name=name or "tool")
            return
        match getattr(part, "outcome", "success"):
            case "success":
                self._writer.output(call_id, part.content, name=name or "tool")
            case "denied":
                self._writer.denied(call_id)
            case _:
                # A retry has its reasons in parts; `str` of it would be for programmers.
                said = part.model_response_str(wrap_if_error=False) if hasattr(part, "model_response_str") else None
                self._writer.output_error(call_id, said or str(part.content), name=name or "tool")

    def _approvals(self, requests: Any) -> None:
        for call in requests.approvals:
            self._whole(call)
            approval = {"approvalId": call.tool_call_id, "toolCallId": call.tool_call_id}
            self._writer.content({"type": "tool-approval-request", **approval})

    def _request(self, message: Any) -> None:
        self._told = {}
        for part in message.parts:
            if part.part_kind in ("tool-return", "retry-prompt") and part.tool_name is not None:
                self._result(part)

    def _response(self, message: Any) -> None:
        """A response, whole or grown since the last one: only what is new is written."""
        for index, part in enumerate(message.parts):
            if part.part_kind in ("text", "thinking"):
                told = self._told.get(index, 0)
                write = self._writer.text if part.part_kind == "text" else self._writer.reasoning
                write(part.content[told:])
                self._told[index] = len(part.content)
            elif index not in self._told:
                self._told[index] = 0
                self._start(index, part)
        if message.finish_reason is not None:
            self._writer.finish(message.finish_reason)
            for part in message.parts:
                if part.part_kind in _CALLS:
                    self._whole(part)

    def _end(self, result: Any) -> None:
        """The run is over: its usage, and why its last response ended."""
        self._writer.finish(getattr(result.response, "finish_reason", None))
        usage = result.usage
        self._writer.used(
            inputTokens=usage.input_tokens,
            outputTokens=usage.output_tokens,
            totalTokens=usage.total_tokens,
            reasoningTokens=(usage.details or {}).get("reasoning_tokens"),
            cachedInputTokens=usage.cache_read_tokens,
            cacheWriteTokens=usage.cache_write_tokens,
        )


def is_run_result(source: Any) -> bool:
    """Whether it is what `await agent.run(…)` gives."""
    return hasattr(source, "new_messages") and hasattr(source, "output") and hasattr(source, "usage")


def is_streamed_result(source: Any) -> bool:
    """Whether it is what `async with agent.run_stream(…)` gives."""
    return hasattr(source, "stream_response") and hasattr(source, "new_messages")


def is_run(source: Any) -> bool:
    """Whether it is what `async with agent.iter(…)` gives."""
    return hasattr(source, "next_node") and hasattr(source, "ctx") and hasattr(source, "__aiter__")


async def of_streamed_result(result: Any) -> AsyncIterator[Any]:
    """The steps that were done before, then the last response as it grows, and the calls that were still in it."""
    before = result.new_messages()
    for message in before:
        yield message
    async for response in result.stream_response(debounce_by=None):
        yield response
    for message in result.new_messages()[len(before) :]:
        if message.kind == "request":
            yield message
    yield Ended(result)


async def of_run(run: Any) -> AsyncIterator[Any]:
    """The events of all nodes of a run."""
    async for node in run:
        if hasattr(node, "stream"):
            async with node.stream(run.ctx) as events:
                async for event in events:
                    yield event
    if run.result is not None:
        yield Ended(run.result)


class Ended:
    """The end of a run, in the form of pydantic-ai's own event."""

    event_kind = "agent_run_result"

    def __init__(self, result: Any) -> None:
        self.result = result


def _marks(part: Any) -> Mapping[str, bool]:
    return _BUILTIN if part.part_kind.startswith("builtin") else {}
