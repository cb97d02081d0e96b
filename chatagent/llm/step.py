"""One step of an answer: one model call, from its first delta to its tool calls, as UI message chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from chatagent.llm.call import Emit, ToolCall, read_call
from chatagent.llm.delta import CallDelta, Delta
from chatagent.llm.tool import Tool
from chatagent.llm.usage import Usage
from chatagent.ui import finish_reason


@dataclass(slots=True)
class Step:
    """One model call of an answer and the calls it made, in order."""

    text: str = ""
    reasoning: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str = "other"
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    #: Signed reasoning that some providers want back with the calls.
    thinking_blocks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """Whether a call waits for the client."""
        return any(not call.answered for call in self.calls)

    def messages(self) -> list[dict[str, Any]]:
        """The step in OpenAI's form: one assistant message, then the answers in the order of the calls."""
        if not self.text and not self.calls:
            return []
        assistant: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.reasoning:
            assistant["reasoning_content"] = self.reasoning
        if self.thinking_blocks:
            assistant["thinking_blocks"] = self.thinking_blocks
        if self.calls:
            assistant["tool_calls"] = [call.to_message() for call in self.calls]
        return [assistant, *(answer_message(call) for call in self.calls if call.answered)]


def answer_message(call: ToolCall) -> dict[str, Any]:
    """The answer of a call in OpenAI's form."""
    return {"role": "tool", "tool_call_id": call.id, "content": call.answer}


@dataclass(slots=True)
class _OpenCall:
    """A call whose arguments still stream in."""

    id: str
    #: The provider's own id; it need not be unique, nor there at all.
    sent_id: str | None
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    extra: Mapping[str, Any] | None = None


class StepWriter:
    """Turns the deltas of one model call into chunks. Text and reasoning take turns; text stays open beside calls."""

    def __init__(
        self,
        tools: Mapping[str, Tool],
        emit: Emit,
        new_id: Callable[[], str],
        *,
        open_step: bool = False,
        no_calls: bool = False,
    ) -> None:
        self.step = Step()
        self.finish_reason: str | None = None
        #: There was a call that is not shown: it has no name, or no calls were wanted at all.
        self.nameless = False
        self.unwanted = False
        self._tools = tools
        self._emit = emit
        self._new_id = new_id
        self._started = open_step
        self._no_calls = no_calls
        self._open: str | None = None
        self._part_id = ""
        self._text: list[str] = []
        self._reasoning: list[str] = []
        #: Place of the open part in the reasoning.
        self._begin = 0
        #: Calls as they began, and the one that each index of the provider stands for now.
        self._calls: list[tuple[int, _OpenCall]] = []
        self._at: dict[int, _OpenCall] = {}
        self._other_chunks = False
        self._cited: set[str] = set()

    @property
    def emitted(self) -> bool:
        """Whether the client has seen anything of this model call; then it cannot be retried."""
        return bool(self._part_id or self._calls or self._other_chunks)

    def start(self) -> None:
        """Open the step, once; happens with the first delta."""
        if not self._started:
            self._started = True
            self._emit({"type": "start-step"})

    def add(self, delta: Delta) -> None:
        """Write one delta."""
        if not self._started:
            self.start()
        if delta.reasoning:
            self._write("reasoning", delta.reasoning, self._reasoning)
        if delta.thinking_blocks:
            for block in delta.thinking_blocks:
                self._add_thinking(block)
        if delta.content:
            self._write("text", delta.content, self._text)
        for piece in delta.calls:
            if self._no_calls:
                self.unwanted = True
            else:
                self._call(piece)
        for chunk in delta.chunks:
            self._add_chunk(chunk)
        if delta.finish_reason is not None:
            self.finish_reason = delta.finish_reason
        if delta.usage is not None:
            self.step.usage = delta.usage

    def close(self) -> list[ToolCall]:
        """End what is open and read the calls, in the order of their index; nothing of them is emitted yet."""
        self.start()
        self._close_part()
        step = self.partial()
        step.finish_reason = finish_reason(self.finish_reason)
        for _, opened in sorted(self._calls, key=itemgetter(0)):
            if not opened.name:
                self.nameless = True
                continue
            call = read_call(opened.id, opened.name, "".join(opened.arguments), self._tools)
            call.extra = opened.extra
            step.calls.append(call)
        return step.calls

    def partial(self) -> Step:
        """The step so far, with what was written until now."""
        self.step.text = "".join(self._text)
        self.step.reasoning = "".join(self._reasoning)
        return self.step

    def _add_chunk(self, chunk: dict[str, Any]) -> None:
        """A file or a source; a page is a source once, however often it is cited."""
        if chunk["type"] == "source-url":
            if chunk["url"] in self._cited:
                return
            self._cited.add(chunk["url"])
        self._other_chunks = True
        self._emit(chunk)

    def _add_thinking(self, piece: dict[str, Any]) -> None:
        """Keep a piece of signed reasoning, and tell its signature with the part that it signs.

        So it outlives the turn, in the AI SDK's form. A block that is not the text which was shown (Gemini's) stays
        within the turn.
        """
        block = _join(self.step.thinking_blocks, piece)
        if piece.get("type") == "redacted_thinking":
            self._close_part()
            self._open_part("reasoning", **_signed(redactedData=piece.get("data")))
            self._close_part()
        elif piece.get("signature"):
            shown = "".join(self._reasoning[self._begin :]) if self._open == "reasoning" else ""
            if shown == (block.get("thinking") or ""):
                if self._open != "reasoning":
                    self._close_part()
                    self._open_part("reasoning")
                self._close_part(**_signed(signature=piece["signature"]))

    def _open_part(self, kind: str, **more: Any) -> None:
        self._open, self._part_id = kind, self._new_id()
        self._begin = len(self._reasoning)
        self._emit({"type": f"{kind}-start", "id": self._part_id, **more})

    def _write(self, kind: str, text: str, into: list[str]) -> None:
        if self._open != kind:
            self._close_part()
            self._open_part(kind)
        into.append(text)
        self._emit({"type": f"{kind}-delta", "id": self._part_id, "delta": text})

    def _close_part(self, **more: Any) -> None:
        if self._open is not None:
            self._emit({"type": f"{self._open}-end", "id": self._part_id, **more})
            self._open = None

    def _call(self, piece: CallDelta) -> None:
        if self._open == "reasoning":
            self._close_part()
        opened = self._at.get(piece.index)
        # Some providers number every call 0: another id with a name is another call.
        if opened is None or (piece.id and piece.name and opened.name and piece.id != opened.sent_id):
            taken = {each.id for _, each in self._calls}
            call_id = piece.id if piece.id and piece.id not in taken else self._new_id()
            opened = self._at[piece.index] = _OpenCall(call_id, piece.id)
            self._calls.append((piece.index, opened))
        if piece.extra:
            opened.extra = piece.extra
        if piece.name and not opened.name:
            opened.name = piece.name
            self._start_call(opened)
        if piece.arguments:
            opened.arguments.append(piece.arguments)
            if opened.name:
                self._emit({"type": "tool-input-delta", "toolCallId": opened.id, "inputTextDelta": piece.arguments})

    def _start_call(self, opened: _OpenCall) -> None:
        call = ToolCall(opened.id, opened.name, None, self._tools.get(opened.name))
        marks = call.marks(title=True) if call.tool is not None else {"dynamic": False}
        self._emit({"type": "tool-input-start", "toolCallId": opened.id, "toolName": opened.name, **marks})


def _join(blocks: list[dict[str, Any]], piece: dict[str, Any]) -> dict[str, Any]:
    """Add a piece of signed reasoning to its block; a signature closes the block that its text opened."""
    last = blocks[-1] if blocks else None
    if last is None or last.get("signature") or not last.get("type") == piece.get("type") == "thinking":
        blocks.append(dict(piece))
        return blocks[-1]
    last["thinking"] = (last.get("thinking") or "") + (piece.get("thinking") or "")
    if piece.get("signature"):
        last["signature"] = piece["signature"]
    return last


def _signed(**metadata: Any) -> dict[str, Any]:
    return {"providerMetadata": {"anthropic": metadata}}
