"""What LangChain and LangGraph give: messages and their chunks, tuples of stream modes, and events (`version="v2"`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from chatagent.agent.source.writer import SourceFailed, Writer
from chatagent.errors import ConfigError
from chatagent.ids import new_id

_MODES = ("messages", "updates", "custom", "values", "debug", "checkpoints", "tasks")
_AI = ("ai", "AIMessageChunk")
_TOOL = ("tool", "ToolMessageChunk", "ToolMessage")
#: What people and the author said is in the chat already.
_SILENT = ("human", "system", "remove", "HumanMessageChunk", "SystemMessageChunk")


class LangChainReader:
    """Reads `astream` of models and graphs (stream modes `messages`, `updates`, `custom`) and `astream_events`."""

    def __init__(self, writer: Writer, add: Callable[[Any], None]) -> None:
        self._writer = writer
        #: Reads what a graph's own writer sent.
        self._add = add
        #: Messages that have begun, and whether they have ended.
        self._ended: dict[str, bool] = {}
        #: Calls by message and index.
        self._calls: dict[tuple[str, Any], str] = {}
        self._answered: set[str] = set()

    @staticmethod
    def reads(piece: Any) -> bool:
        """Whether `piece` is one of these."""
        if isinstance(piece, tuple):
            return 2 <= len(piece) <= 3
        if isinstance(piece, Mapping):
            return "type" not in piece and "parts" not in piece
        return isinstance(getattr(piece, "type", None), str) and hasattr(piece, "response_metadata")

    def add(self, piece: Any) -> None:
        """Write one message, tuple or event."""
        if isinstance(piece, tuple):
            self._tuple(piece)
        elif not isinstance(piece, Mapping):
            self._message(piece)
        elif isinstance(piece.get("event"), str) and "data" in piece:
            self._event(piece["event"], piece)
        elif all(isinstance(value, str | int | float) for value in piece.values()):
            keys = ", ".join(map(str, piece)) or "none"
            raise ConfigError(
                f"a stream gave a dict that is no chunk: it has no 'type' (its keys: {keys}); give str or chunks"
            )
        else:
            self._update(piece)

    def close(self) -> None:
        """The stream is over."""

    def _tuple(self, piece: tuple[Any, ...]) -> None:
        """`(message, metadata)` or `(mode, payload)`, either with the namespace of a subgraph before it."""
        if isinstance(piece[0], tuple):
            piece = piece[1:]
        if len(piece) == 1:
            self.add(piece[0])
        elif piece[0] not in _MODES:
            self._message(piece[0])
        elif piece[0] == "custom":
            self._add(piece[1])
        elif piece[0] == "messages":
            self.add(piece[1])
        elif piece[0] == "updates":
            self._update(piece[1])

    def _update(self, update: Mapping[str, Any]) -> None:
        """What the nodes of a graph changed: messages that were not streamed are written whole."""
        if "messages" in update:
            raise ConfigError("the states of a graph repeat its messages: use astream(…, stream_mode='messages')")
        for change in update.values():
            messages = change.get("messages") if isinstance(change, Mapping) else None
            for message in messages if isinstance(messages, list) else [messages] if messages is not None else ():
                if hasattr(message, "content"):
                    self._message(message)

    def _event(self, kind: str, event: Mapping[str, Any]) -> None:
        data = event["data"]
        match kind:
            case "on_chat_model_stream":
                self._message(data["chunk"])
            case "on_chat_model_end" if hasattr(data.get("output"), "content"):
                self._message(data["output"])
            case "on_llm_stream":
                self._writer.text(getattr(data["chunk"], "text", None) or str(data["chunk"]), event["run_id"])
            case "on_tool_end":
                self._tool_end(event["run_id"], event.get("name", "tool"), data)
            case "on_tool_error" if data.get("tool_call_id") in self._calls.values():
                self._fail(data["tool_call_id"], str(data.get("error", "failed")), event.get("name", "tool"))
            case "on_custom_event":
                self._add(data)

    def _tool_end(self, run_id: str, name: str, data: Mapping[str, Any]) -> None:
        output = data.get("output")
        if hasattr(output, "tool_call_id"):
            self._message(output)
        elif not hasattr(output, "update"):
            # Called by the author's code rather than by a model, so that there is no call yet.
            self._writer.call(run_id, name, data.get("input"), dynamic=True)
            self._writer.output(run_id, output)

    # -- messages -------------------------------------------------------------------------------------------------

    def _message(self, message: Any) -> None:
        kind = getattr(message, "type", None)
        if kind in _TOOL:
            self._tool_message(message)
        elif kind in _AI:
            self._ai_message(message)
        elif kind not in _SILENT:
            raise ConfigError(f"a stream gave a {type(message).__name__}: it should give messages or their chunks")

    def _ai_message(self, message: Any) -> None:
        key = message.id or ""
        if self._ended.get(key) and key:
            return
        if key not in self._ended and all(self._ended.values()):
            self._writer.end_step()
        is_chunk, begun = hasattr(message, "tool_call_chunks"), key in self._ended
        self._ended[key] = False
        if is_chunk or not begun:
            self._content(message, key)
        for call in message.tool_call_chunks if is_chunk else ():
            self._call_piece(call, key)
        self._finish(message, key, last=not is_chunk or getattr(message, "chunk_position", None) == "last")

    def _content(self, message: Any, key: str) -> None:
        extra = message.additional_kwargs or {}
        self._writer.reasoning(extra.get("reasoning_content"), key)
        if isinstance(message.content, str):
            self._writer.text(message.content, key)
            return
        for block in message.content_blocks:
            match block["type"]:
                case "text":
                    self._writer.text(block.get("text"), key)
                    for annotation in block.get("annotations") or ():
                        self._source(annotation)
                case "reasoning":
                    self._writer.reasoning(block.get("reasoning"), key)
                case "image" | "file" | "audio" | "video":
                    self._file(block)
                case "error":
                    raise SourceFailed(str(block.get("error") or "the model failed"))

    def _call_piece(self, call: Mapping[str, Any], key: str) -> None:
        place = (key, call.get("index"))
        call_id = self._calls.get(place)
        if call_id is None or (call.get("id") and call["id"] != call_id):
            call_id = self._calls[place] = call.get("id") or new_id()
            self._writer.start_call(call_id, call.get("name") or "")
        self._writer.call_delta(call_id, call.get("args"))

    def _finish(self, message: Any, key: str, *, last: bool) -> None:
        if usage := message.usage_metadata:
            inputs, outputs = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
            self._writer.used(
                inputTokens=usage.get("input_tokens"),
                outputTokens=usage.get("output_tokens"),
                totalTokens=usage.get("total_tokens"),
                reasoningTokens=outputs.get("reasoning"),
                cachedInputTokens=inputs.get("cache_read"),
                cacheWriteTokens=inputs.get("cache_creation"),
            )
        told = message.response_metadata or {}
        self._writer.finish(told.get("finish_reason") or told.get("stop_reason"))
        if last:
            self._ended[key] = True
            self._writer.end_parts(key)
            for (owner, _), call_id in self._calls.items():
                if owner == key:
                    self._writer.end_call(call_id)
            for call in () if hasattr(message, "tool_call_chunks") else message.tool_calls:
                self._writer.call(call["id"] or new_id(), call["name"], call["args"])

    def _tool_message(self, message: Any) -> None:
        call_id, name = message.tool_call_id, message.name or "tool"
        if call_id in self._answered:
            return
        if message.status == "error":
            self._fail(call_id, str(message.content), name)
        else:
            self._answered.add(call_id)
            self._writer.output(call_id, _parsed(message.content), name=name)

    def _fail(self, call_id: str, text: str, name: str) -> None:
        self._answered.add(call_id)
        self._writer.output_error(call_id, text, name=name)

    def _source(self, annotation: Mapping[str, Any]) -> None:
        if annotation.get("type") == "citation" and annotation.get("url"):
            title = {"title": annotation["title"]} if annotation.get("title") else {}
            self._writer.content({"type": "source-url", "sourceId": new_id(), "url": annotation["url"], **title})

    def _file(self, block: Mapping[str, Any]) -> None:
        media_type = block.get("mime_type") or f"{block['type']}/*"
        data = block.get("base64")
        url = block.get("url") or (f"data:{media_type};base64,{data}" if data else None)
        if url:
            self._writer.content({"type": "file", "url": url, "mediaType": media_type})


def _parsed(content: Any) -> Any:
    """A tool's output: LangGraph writes objects and lists as JSON text."""
    if isinstance(content, str) and content[:1] in ("{", "["):
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            return content
    return content
