"""Folding the chunks of tool calls: input as it streams, approvals, outputs (AI SDK reference §3.3 and §3.3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chatagent.errors import StreamError
from chatagent.ui.partial_json import parse_partial_json
from chatagent.ui.step import Steps
from chatagent.ui.tool_part import Part, is_dynamic_tool, is_static_tool, is_tool, tool_name
from chatagent.ui.utf16 import whole

Chunk = dict[str, Any]
Handler = Callable[[Chunk], None]

_RESULTS = ("output-available", "output-error")
#: Every change of a call's state sets these, or removes what the new state does not have.
_REPLACED = ("input", "output", "errorText", "rawInput", "preliminary")
_CREATED = ("title", "toolMetadata", "providerExecuted", *_REPLACED)


class _Input:
    """Input that may still stream: the text so far, and deltas not yet parsed."""

    __slots__ = ("dynamic", "encoding", "extra", "name", "part", "pieces", "text")

    def __init__(self, source: Chunk, major: int, *, name: str, dynamic: bool, text: str = "") -> None:
        self.name = name
        self.dynamic = dynamic
        self.encoding = source.get("inputEncoding") if major > 5 else None
        self.extra = _pick(source, "title", "toolMetadata")
        self.text = text
        self.pieces: list[str] = []
        #: The part that holds this input, while nothing else can have touched it.
        self.part: Part | None = None

    def fields(self, major: int) -> dict[str, Any]:
        """`rawInput` and `input` with the deltas so far."""
        self.text = whole(self.text + "".join(self.pieces))
        self.pieces.clear()
        if self.encoding == "text":
            return {"rawInput": self.text, "input": self.text}
        parsed = parse_partial_json(self.text, major=major)
        return {"rawInput": self.text} if parsed is None else {"rawInput": self.text, "input": parsed.value}


class ToolCalls:
    """The tool parts of one message."""

    def __init__(self, steps: Steps, major: int) -> None:
        self._steps = steps
        self._major = major
        self._inputs: dict[Any, _Input] = {}
        #: Inputs with a part: deltas are parsed only when somebody looks (`settle`).
        self._streaming: list[_Input] = []
        for part in steps.current():
            if is_tool(part) and part.get("state") == "input-streaming":
                dynamic = is_dynamic_tool(part)
                text = part.get("rawInput") or ""
                call = _Input(part, major, name=tool_name(part), dynamic=dynamic, text=text)
                self._inputs[part.get("toolCallId")] = call

    def handlers(self) -> dict[str, Handler]:
        """What folds which type of chunk, for the generation of this message's client."""
        handlers: dict[str, Handler] = {
            "tool-input-start": self._input_start,
            "tool-input-delta": self._input_delta,
            "tool-input-available": self._input_available,
            "tool-input-error": self._input_error,
            "tool-output-available": self._output_available,
            "tool-output-error": self._output_error,
        }
        if self._major >= 6:
            handlers["tool-approval-request"] = self._approval_request
            handlers["tool-output-denied"] = self._output_denied
        if self._major >= 7:
            handlers["tool-approval-response"] = self._approval_response
        return handlers

    def settle(self) -> None:
        """Parse what streamed in since the last look."""
        for call in self._streaming:
            if call.pieces and call.part is not None:
                _replace(call.part, call.fields(self._major), "input", "rawInput")

    def release(self) -> None:
        """Settle, because parts or steps are about to change: the next delta looks for its part again."""
        self.settle()
        for call in self._streaming:
            call.part = None
        self._streaming.clear()

    def forget_inputs(self) -> None:
        """No input streams any more."""
        self.release()
        self._inputs.clear()

    # -- input ----------------------------------------------------------------------------------------------------

    def _input_start(self, chunk: Chunk) -> None:
        self.release()
        dynamic = bool(chunk.get("dynamic"))
        name = chunk.get("toolName", "")
        self._inputs[chunk.get("toolCallId")] = _Input(chunk, self._major, name=name, dynamic=dynamic)
        self._upsert(chunk, name, dynamic, "input-streaming", _pick(chunk, "inputEncoding"))

    def _input_delta(self, chunk: Chunk) -> None:
        call = self._inputs.get(chunk.get("toolCallId"))
        if call is None:
            raise _missing(chunk)
        delta = chunk.get("inputTextDelta")
        if not isinstance(delta, str):
            raise StreamError("a delta is not text", chunk_type=chunk["type"], chunk_id=chunk["toolCallId"])
        call.pieces.append(delta)
        if call.part is None:
            fields = {**call.fields(self._major), "inputEncoding": call.encoding}
            extra = {"toolCallId": chunk["toolCallId"], **call.extra}
            call.part = self._upsert(extra, call.name, call.dynamic, "input-streaming", fields)
            self._streaming.append(call)

    def _input_available(self, chunk: Chunk) -> None:
        self.release()
        name = chunk.get("toolName", "")
        self._upsert(chunk, name, bool(chunk.get("dynamic")), "input-available", _pick(chunk, "input"))

    def _input_error(self, chunk: Chunk) -> None:
        self.release()
        dynamic = bool(chunk.get("dynamic"))
        known = _first(self._steps.current(), is_tool, chunk.get("toolCallId")) if self._major > 5 else None
        if known is not None:
            dynamic = is_dynamic_tool(known)
        fields = _pick(chunk, "input", "errorText")
        if self._major < 7 and not dynamic and "input" in fields:
            fields["rawInput"] = fields.pop("input")
        without_title = {key: value for key, value in chunk.items() if key != "title"}
        self._upsert(without_title, chunk.get("toolName", ""), dynamic, "output-error", fields)

    # -- output ---------------------------------------------------------------------------------------------------

    def _output_available(self, chunk: Chunk) -> None:
        self.release()
        part = self._called(chunk)
        self._update(part, chunk, "output-available", _pick(part, "input") | _pick(chunk, "output", "preliminary"))

    def _output_error(self, chunk: Chunk) -> None:
        self.release()
        part = self._called(chunk)
        kept = _pick(part, "input", "rawInput") if is_static_tool(part) else _pick(part, "input")
        self._update(part, chunk, "output-error", kept | _pick(chunk, "errorText"))

    def _output_denied(self, chunk: Chunk) -> None:
        self.release()
        self._called(chunk)["state"] = "output-denied"

    # -- approval -------------------------------------------------------------------------------------------------

    def _approval_request(self, chunk: Chunk) -> None:
        self.release()
        part = self._called(chunk)
        approval: dict[str, Any] = {"id": chunk.get("approvalId")}
        if chunk.get("approvalDescriptor") is not None:
            approval["descriptor"] = chunk["approvalDescriptor"]
        approval |= _pick(chunk, "inputSchemaInput")
        if chunk.get("signature") is not None:
            approval["signature"] = chunk["signature"]
        if self._major >= 7 and chunk.get("reason") is not None:
            approval["requestReason"] = chunk["reason"]
        if self._major >= 7 and chunk.get("isAutomatic") is True:
            approval["isAutomatic"] = True
        part |= {"state": "approval-requested", "approval": approval}

    def _approval_response(self, chunk: Chunk) -> None:
        self.release()
        asked = chunk.get("approvalId")
        calls = (part for part in self._steps.parts if is_tool(part) and part.get("approval"))
        part = next((part for part in calls if part["approval"].get("id") == asked), None)
        if part is None:
            raise _missing(chunk, asked)
        approval = {**part["approval"], "id": asked} | _pick(chunk, "approved")
        if chunk.get("reason") is not None:
            approval["reason"] = chunk["reason"]
        part |= {"state": "approval-responded", "approval": approval}
        if chunk.get("providerExecuted") is not None:
            part["providerExecuted"] = chunk["providerExecuted"]
        if chunk.get("providerMetadata") is not None:
            part["callProviderMetadata"] = chunk["providerMetadata"]

    # -- parts ----------------------------------------------------------------------------------------------------

    def _called(self, chunk: Chunk) -> Part:
        """The part that an output or approval is for: in the current step, else the last of the message."""
        call_id = chunk.get("toolCallId")
        kind = is_tool
        if self._major == 5:
            kind = is_dynamic_tool if chunk.get("dynamic") else is_static_tool
        part = _first(self._steps.current(), kind, call_id) or _first(reversed(self._steps.parts), kind, call_id)
        if part is None:
            raise _missing(chunk)
        return part

    def _upsert(self, chunk: Chunk, name: str, dynamic: bool, state: str, fields: dict[str, Any]) -> Part:
        """Change the call of the current step that has this id and kind, or add one."""
        kind = is_dynamic_tool if dynamic else is_static_tool
        part = _first(self._steps.current(), kind, chunk.get("toolCallId"))
        if part is None:
            part = self._created(chunk, name, dynamic, state, fields)
            self._steps.parts.append(part)
            return part
        if dynamic:
            part["toolName"] = name
        elif self._major > 5:
            part["type"] = f"tool-{name}"
        self._update(part, chunk, state, fields)
        return part

    def _created(self, chunk: Chunk, name: str, dynamic: bool, state: str, fields: dict[str, Any]) -> Part:
        kind = {"type": "dynamic-tool", "toolName": name} if dynamic else {"type": f"tool-{name}"}
        given = {**self._seen(chunk), **fields}
        if dynamic:
            given.pop("rawInput", None)
        part = kind | _pick(chunk, "toolCallId") | {"state": state} | _pick(given, *_CREATED)
        if given.get("inputEncoding") is not None and self._major > 5:
            part["inputEncoding"] = given["inputEncoding"]
        if given.get("providerMetadata") is not None:
            target = "resultProviderMetadata" if state in _RESULTS and self._major > 5 else "callProviderMetadata"
            part[target] = given["providerMetadata"]
        return part

    def _update(self, part: Part, chunk: Chunk, state: str, fields: dict[str, Any]) -> None:
        given = self._seen(chunk)
        part["state"] = state
        _replace(part, fields, *_REPLACED)
        if fields.get("inputEncoding") is not None and self._major > 5:
            part["inputEncoding"] = fields["inputEncoding"]
        elif self._major > 5:
            part.pop("inputEncoding", None)
        part |= _pick(given, "title")
        # Outputs keep the metadata of the call unless they bring their own; inputs set what they are given.
        if given.get("toolMetadata") is not None or ("toolMetadata" in given and state not in _RESULTS):
            part["toolMetadata"] = given["toolMetadata"]
        if given.get("providerExecuted") is not None:
            part["providerExecuted"] = given["providerExecuted"]
        if given.get("providerMetadata") is None:
            return
        if state in _RESULTS and self._major > 5:
            part["resultProviderMetadata"] = given["providerMetadata"]
        elif self._major > 5 or state == "input-available":
            part["callProviderMetadata"] = given["providerMetadata"]

    def _seen(self, chunk: Chunk) -> Chunk:
        """What a client of this generation reads of a chunk beside its payload."""
        if self._major > 5:
            keys: tuple[str, ...] = ("title", "toolMetadata", "providerExecuted", "providerMetadata")
        elif chunk.get("type") == "tool-output-available" and chunk.get("dynamic"):
            keys = ()
        elif chunk.get("type") in ("tool-input-available", "tool-input-error"):
            keys = ("providerExecuted", "providerMetadata")
        else:
            keys = ("providerExecuted",)
        if chunk.get("type") in ("tool-output-available", "tool-output-error"):
            keys = tuple(key for key in keys if key != "title")
        return _pick(chunk, *keys)


def _first(parts: Iterable[Part], kind: Callable[[Part], bool], call_id: Any) -> Part | None:
    return next((part for part in parts if kind(part) and part.get("toolCallId") == call_id), None)


def _pick(source: Chunk, *keys: str) -> dict[str, Any]:
    return {key: source[key] for key in keys if key in source}


def _replace(part: Part, fields: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if key in fields:
            part[key] = fields[key]
        else:
            part.pop(key, None)


def _missing(chunk: Chunk, asked: Any = None) -> StreamError:
    call_id = chunk.get("toolCallId") if asked is None else asked
    return StreamError(
        f"a {chunk['type']} chunk names {call_id!r}, which no call of the message has",
        chunk_type=chunk["type"],
        chunk_id=call_id,
    )
