"""Tool parts of a message: their states, and how chunks move them (AI SDK reference §3.3.1)."""

from __future__ import annotations

from typing import Any

from chatagent.errors import StreamError
from chatagent.ui.partial_json import parse_partial_json

Chunk = dict[str, Any]
Part = dict[str, Any]

#: Cleared by every update that does not set them.
_VOLATILE = ("input", "output", "errorText", "rawInput", "preliminary")
#: Order of keys in a new part.
_KEYS = ("title", "toolMetadata", "input", "inputEncoding", "output", "rawInput", "errorText", "preliminary")
_OUTPUT_STATES = ("output-available", "output-error")


def is_tool(part: Part) -> bool:
    """Whether a part is a tool call."""
    kind: str = part["type"]
    return kind.startswith("tool-") or kind == "dynamic-tool"


def tool_name(part: Part) -> str:
    """The tool's name; of a static part all that follows its first dash."""
    return str(part["toolName"]) if part["type"] == "dynamic-tool" else part["type"].partition("-")[2]


class ToolParts:
    """The tool parts of a message under construction. `step_at` is where its current step begins."""

    def __init__(self, parts: list[Part], major: int) -> None:
        self._parts = parts
        self._major = major
        starts = [at + 1 for at, part in enumerate(parts) if part["type"] == "step-start"]
        self.step_at = starts[-1] if starts else 0
        self._partial: dict[str, Part] = {
            part["toolCallId"]: self._partial_of(part)
            for part in self._current()
            if is_tool(part) and part.get("state") == "input-streaming"
        }

    def forget(self) -> None:
        """Forget inputs that were still coming in."""
        self._partial.clear()

    def input_start(self, chunk: Chunk) -> None:
        names = ("title", "toolMetadata", "inputEncoding") if self._major >= 6 else ()
        shown = {name: chunk[name] for name in names if name in chunk}
        self._partial[chunk["toolCallId"]] = {
            "text": "",
            "toolName": chunk["toolName"],
            "dynamic": bool(chunk.get("dynamic")),
            **shown,
        }
        self._upsert(chunk, bool(chunk.get("dynamic")), "input-streaming", chunk["toolName"], {**shown})

    def input_delta(self, chunk: Chunk) -> None:
        partial = self._partial.get(chunk["toolCallId"])
        if partial is None:
            raise StreamError(
                f'tool-input-delta for the missing tool call "{chunk["toolCallId"]}"; send tool-input-start first',
                chunk_type="tool-input-delta",
                chunk_id=chunk["toolCallId"],
            )
        partial["text"] += chunk["inputTextDelta"]
        names = ("title", "toolMetadata", "inputEncoding")
        values: Part = {name: partial[name] for name in names if name in partial}
        if partial.get("inputEncoding") == "text":
            values["input"] = partial["text"]
        else:
            found = parse_partial_json(partial["text"], major=self._major)
            if found is not None:
                values["input"] = found.value
        # Version 5 keeps the text only to parse it again; all versions store it.
        values["rawInput"] = partial["text"]
        marks = {"toolCallId": chunk["toolCallId"]}
        self._upsert(marks, partial["dynamic"], "input-streaming", partial["toolName"], values)

    def input_available(self, chunk: Chunk) -> None:
        values = self._given(chunk, "input", "title", "toolMetadata")
        self._upsert(chunk, bool(chunk.get("dynamic")), "input-available", chunk["toolName"], values)

    def input_error(self, chunk: Chunk) -> None:
        dynamic = bool(chunk.get("dynamic"))
        if self._major >= 6:
            existing = next((part for part in self._current() if self._is(part, chunk)), None)
            dynamic = existing["type"] == "dynamic-tool" if existing is not None else dynamic
        values = self._given(chunk, "errorText", "toolMetadata")
        if "input" in chunk:
            values["input" if dynamic or self._major >= 7 else "rawInput"] = chunk["input"]
        # The input is what failed: metadata belongs to the call, in 5 to nothing.
        self._upsert(chunk, dynamic, "output-error", chunk["toolName"], values)

    def output_available(self, chunk: Chunk) -> None:
        part = self._find(chunk)
        values = {**self._kept(part), **self._given(chunk, "output", "preliminary", "toolMetadata")}
        self._update(part, chunk, "output-available", tool_name(part), values)

    def output_error(self, chunk: Chunk) -> None:
        part = self._find(chunk)
        values = {**self._kept(part), **self._given(chunk, "errorText", "toolMetadata")}
        if part["type"] != "dynamic-tool" and "rawInput" in part:
            values["rawInput"] = part["rawInput"]
        self._update(part, chunk, "output-error", tool_name(part), values)

    def output_denied(self, chunk: Chunk) -> None:
        self._find(chunk)["state"] = "output-denied"

    def approval_request(self, chunk: Chunk) -> None:
        part = self._find(chunk)
        part["state"] = "approval-requested"
        approval = {"id": chunk["approvalId"]}
        names = [("approvalDescriptor", "descriptor"), ("signature", "signature")]
        if self._major >= 7:
            names.append(("reason", "requestReason"))
        approval.update({name: chunk[given] for given, name in names if chunk.get(given) is not None})
        if "inputSchemaInput" in chunk:
            approval["inputSchemaInput"] = chunk["inputSchemaInput"]
        if self._major >= 7 and chunk.get("isAutomatic") is True:
            approval["isAutomatic"] = True
        part["approval"] = approval

    def approval_response(self, chunk: Chunk) -> None:
        wanted = chunk["approvalId"]
        parts = [part for part in self._parts if is_tool(part) and (part.get("approval") or {}).get("id") == wanted]
        if not parts:
            raise StreamError(
                f'no tool call has the approval "{wanted}"', chunk_type="tool-approval-response", chunk_id=wanted
            )
        part = parts[0]
        part["state"] = "approval-responded"
        reason = {"reason": chunk["reason"]} if chunk.get("reason") is not None else {}
        part["approval"] = {**part["approval"], "approved": chunk["approved"], **reason}
        if chunk.get("providerExecuted") is not None:
            part["providerExecuted"] = chunk["providerExecuted"]
        if chunk.get("providerMetadata") is not None:
            part["callProviderMetadata"] = chunk["providerMetadata"]

    # -- finding and writing ------------------------------------------------------------------------------------

    def _current(self) -> list[Part]:
        return self._parts[self.step_at :]

    def _is(self, part: Part, chunk: Chunk) -> bool:
        return is_tool(part) and part["toolCallId"] == chunk["toolCallId"]

    def _find(self, chunk: Chunk) -> Part:
        """The part that an output is for: in the current step, else the latest anywhere."""
        found = [part for part in self._current() if self._is(part, chunk) and self._kind_fits(part, chunk)][:1]
        if not found:
            found = [part for part in reversed(self._parts) if self._is(part, chunk) and self._kind_fits(part, chunk)]
        if not found:
            raise StreamError(
                f'there is no tool call "{chunk["toolCallId"]}"', chunk_type=chunk["type"], chunk_id=chunk["toolCallId"]
            )
        return found[0]

    def _kind_fits(self, part: Part, chunk: Chunk) -> bool:
        """Version 5 looks only at parts of the kind that the chunk names."""
        return self._major >= 6 or (part["type"] == "dynamic-tool") == bool(chunk.get("dynamic"))

    def _given(self, chunk: Chunk, *names: str) -> Part:
        if self._major < 6:
            names = tuple(name for name in names if name not in ("title", "toolMetadata"))
        return {name: chunk[name] for name in names if name in chunk}

    def _kept(self, part: Part) -> Part:
        return {name: part[name] for name in ("input", "title", "toolMetadata") if name in part}

    def _upsert(self, chunk: Chunk, dynamic: bool, state: str, name: str, values: Part) -> None:
        for part in self._current():
            if self._is(part, chunk) and (part["type"] == "dynamic-tool") == dynamic:
                self._update(part, chunk, state, name, values)
                return
        part = {"type": "dynamic-tool", "toolName": name} if dynamic else {"type": f"tool-{name}"}
        part |= {"toolCallId": chunk["toolCallId"], "state": state}
        part |= {key: values[key] for key in _KEYS if key in values}
        if "providerExecuted" in chunk:
            part["providerExecuted"] = chunk["providerExecuted"]
        self._add_metadata(part, chunk, state)
        self._parts.append(part)

    def _update(self, part: Part, chunk: Chunk, state: str, name: str, values: Part) -> None:
        part["state"] = state
        if part["type"] == "dynamic-tool":
            part["toolName"] = name
        elif self._major >= 6:
            part["type"] = f"tool-{name}"
        for key in (*_VOLATILE, "inputEncoding"):
            part.pop(key, None)
        part.update(values)
        if chunk.get("providerExecuted") is not None:
            part["providerExecuted"] = chunk["providerExecuted"]
        self._add_metadata(part, chunk, state)

    def _add_metadata(self, part: Part, chunk: Chunk, state: str) -> None:
        metadata = chunk.get("providerMetadata")
        if metadata is None or (self._major < 6 and state != "input-available"):
            return
        part["resultProviderMetadata" if state in _OUTPUT_STATES and self._major >= 6 else "callProviderMetadata"] = (
            metadata
        )

    def _partial_of(self, part: Part) -> Part:
        names = ("title", "toolMetadata", "inputEncoding")
        return {
            "text": part.get("rawInput") or "",
            "toolName": tool_name(part),
            "dynamic": part["type"] == "dynamic-tool",
            **{name: part[name] for name in names if name in part},
        }
