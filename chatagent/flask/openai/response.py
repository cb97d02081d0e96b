"""A response, whole and as events. Pure. Source: OpenAI API reference, "The response object", "Streaming events".

The events of one log are the same each time they are told, so that a client can go on after a sequence number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatagent.flask.openai.call_id import told_call_id
from chatagent.flask.openai.output import Call, Change, Chunk, Item, Output
from chatagent.flask.openai.response_id import Place, response_id

Event = dict[str, Any]


class Answer:
    """One response of `model` in the chat `chat_id`, from the chunks of its answer."""

    def __init__(self, place: Place, model: str, chat_id: str, *, previous: str | None = None) -> None:
        self.id = response_id(place)
        self.place = place
        self.model = model
        self.chat_id = chat_id
        self.previous = previous
        self.output = Output()
        self._sequence = -1
        #: Output items told so far: also those that a crash took back.
        self._told = 0
        self._places: dict[Item, int] = {}

    def first_events(self) -> Iterator[Event]:
        """The start of the stream."""
        yield self._event("response.created", response=self.whole("in_progress"))
        yield self._event("response.in_progress", response=self.whole("in_progress"))

    def events(self, chunk: Chunk) -> Iterator[Event]:
        """What a chunk adds to the stream."""
        for change in self.output.take(chunk):
            yield from self._change(change)

    def last_events(self, usage: Mapping[str, Any]) -> Iterator[Event]:
        """The end of the stream: calls that wait, and the whole response."""
        for change in self.output.end():
            yield from self._change(change)
        for call in self.output.waiting:
            yield from self._call(call)
        status = self.status()
        kind = "incomplete" if status == "cancelled" else status
        yield self._event(f"response.{kind}", response=self.whole(status, usage))

    def _change(self, change: Change) -> Iterator[Event]:
        item, text = change.item, change.item.kind == "text"
        kind = "output_text" if text else "reasoning_text"
        if change.what == "begin":
            self._places[item] = self._told
            self._told += 1
            started = self._item(item, "in_progress") | {"content": []}
            yield self._event("response.output_item.added", output_index=self._places[item], item=started)
        where: dict[str, Any] = {"item_id": self._item_id(item), "output_index": self._places[item]}
        part = {**where, "content_index": 0}
        if change.what == "begin" and text:
            yield self._event("response.content_part.added", **part, part=_text("", text))
        logprobs: dict[str, Any] = {"logprobs": []} if text else {}
        if change.what == "grow":
            yield self._event(f"response.{kind}.delta", **part, delta=change.delta, **logprobs)
        if change.what == "end":
            yield self._event(f"response.{kind}.done", **part, text=item.text, **logprobs)
            if text:
                yield self._event("response.content_part.done", **part, part=_text(item.text, text))
            done = self._item(item, "incomplete" if item.dropped else "completed")
            yield self._event("response.output_item.done", output_index=self._places[item], item=done)

    def _call(self, call: Call) -> Iterator[Event]:
        index, item = self._told, self._call_item(call)
        self._told += 1
        if call.approval is None:
            yield self._event(
                "response.output_item.added",
                output_index=index,
                item={**item, "arguments": "", "status": "in_progress"},
            )
            where = {"item_id": item["id"], "output_index": index}
            yield self._event("response.function_call_arguments.delta", **where, delta=call.arguments)
            yield self._event(
                "response.function_call_arguments.done", **where, name=call.name, arguments=call.arguments
            )
        else:
            yield self._event("response.output_item.added", output_index=index, item=item)
        yield self._event("response.output_item.done", output_index=index, item=item)

    def _event(self, kind: str, **fields: Any) -> Event:
        self._sequence += 1
        return {"type": kind, "sequence_number": self._sequence, **fields}

    def stored_event(self, whole: dict[str, Any], sequence: int) -> Event:
        """The end of a stream whose events are no longer known."""
        kind = "incomplete" if whole["status"] == "cancelled" else whole["status"]
        return {"type": f"response.{kind}", "sequence_number": sequence, "response": whole}

    def status(self) -> str:
        """How the answer ended."""
        if self.output.error is not None:
            return "failed"
        if self.output.stopped:
            return "cancelled"
        return "incomplete" if self.output.finish_reason in ("length", "content-filter") else "completed"

    def whole(self, status: str, usage: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The response object."""
        reasons = {"length": "max_output_tokens", "content-filter": "content_filter"}
        why = {"reason": reasons.get(self.output.finish_reason)} if status == "incomplete" else None
        failed = {"code": "server_error", "message": self.output.error} if status == "failed" else None
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.place.created_s,
            "status": status,
            "model": self.model,
            "output": self.items() if status not in ("queued", "in_progress") else [],
            "error": failed,
            "incomplete_details": why,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "temperature": None,
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "previous_response_id": self.previous,
            "conversation": {"id": self.chat_id},
            "usage": None if usage is None else read_usage(usage),
        }

    def items(self) -> list[dict[str, Any]]:
        """The output items."""
        told = [self._item(item, "completed") for item in self.output.items if item.text]
        return told + [self._call_item(call) for call in self.output.waiting]

    def _item(self, item: Item, status: str) -> dict[str, Any]:
        content = [_text(item.text, item.kind == "text")]
        if item.kind == "text":
            kind: dict[str, Any] = {"type": "message", "role": "assistant"}
        else:
            kind = {"type": "reasoning", "summary": []}
        return {"id": self._item_id(item), **kind, "status": status, "content": content}

    def _item_id(self, item: Item) -> str:
        return f"{'msg' if item.kind == 'text' else 'rs'}_{self.id.removeprefix('resp_')}_{item.number}"

    def _call_item(self, call: Call) -> dict[str, Any]:
        told = {"name": call.name, "arguments": call.arguments}
        if call.approval is not None:
            return {"id": call.approval, "type": "mcp_approval_request", "server_label": self.model, **told}
        call_id = told_call_id(call.id, self.place.session_id)
        return {"id": f"fc_{call_id}", "type": "function_call", "call_id": call_id, "status": "completed", **told}


def read_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The tokens of a turn in the names of responses; 0 is what nobody counted."""
    asked, told = int(usage.get("inputTokens") or 0), int(usage.get("outputTokens") or 0)
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": int(usage.get("cachedInputTokens") or 0)},
        "output_tokens": told,
        "output_tokens_details": {"reasoning_tokens": int(usage.get("reasoningTokens") or 0)},
        "total_tokens": int(usage.get("totalTokens") or asked + told),
    }


def _text(text: str, said: bool) -> dict[str, Any]:
    if not said:
        return {"type": "reasoning_text", "text": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
