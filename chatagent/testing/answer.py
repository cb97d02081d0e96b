"""What an agent answered, read from what was stored and streamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from chatagent.record import OutRecord, control_headers
from chatagent.ui import decode, fold_message
from chatagent.ui.reading import ToolCall, text_of, tool_call, waiting_calls
from chatagent.ui.tool_part import is_tool

Chunk = dict[str, Any]
UIMessage = dict[str, Any]
#: `cancelled`: it was taken out of the queue. `running`: it has not ended.
Outcome = Literal["completed", "stopped", "failed", "waiting", "cancelled", "running"]


class Source(Protocol):
    """The chat that an answer is part of."""

    def settle(self, seq: int) -> None: ...
    def records(self) -> list[OutRecord]: ...
    @property
    def history(self) -> list[UIMessage]: ...


class Answer:
    """The answer to one thing that was sent. Every property waits for its end first; `so_far` does not."""

    def __init__(self, source: Source, seq: int) -> None:
        self._source = source
        #: Place in the inbox of what is answered.
        self.seq = seq
        self._turn: _Turn | None = None

    def wait(self) -> Answer:
        """Wait until the chat is idle. Raises: NotAnswered, UnscriptedCall."""
        if self._turn is None:
            self._source.settle(self.seq)
            self._turn = read_turn(self._source.records(), self.seq)
        return self

    @property
    def so_far(self) -> list[Chunk]:
        """The chunks until now."""
        return read_turn(self._source.records(), self.seq).chunks

    @property
    def chunks(self) -> list[Chunk]:
        """The AI SDK's UI message chunks, in order; after a crash those of the dead attempt too."""
        return self._whole.chunks

    @property
    def outcome(self) -> Outcome:
        """How it ended; `waiting` when calls wait for the user."""
        turn = self._whole
        return "waiting" if turn.outcome == "completed" and self.waiting_calls else turn.outcome

    @property
    def message(self) -> UIMessage:
        """The message as it is stored; as it was streamed, where it was not stored."""
        turn = self._whole
        stored = next((each for each in self._source.history if each.get("id") == turn.message_id), None)
        if stored is not None:
            return stored
        return fold_message([chunk for chunk in turn.chunks if chunk["type"] != "error"])

    @property
    def text(self) -> str:
        """All text of the message."""
        return text_of(self.message)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """All calls of the message, in order."""
        return [tool_call(part) for part in self.message["parts"] if is_tool(part)]

    @property
    def waiting_calls(self) -> list[ToolCall]:
        """The calls that wait for an approval, or for the output of a client's tool."""
        return [tool_call(part) for part in waiting_calls(self.message)]

    @property
    def data(self) -> dict[str, Any]:
        """The data parts of the message by their name: `data-note` is `answer.data["note"]`; the last of each."""
        parts = [part for part in self.message["parts"] if str(part["type"]).startswith("data-")]
        return {str(part["type"]).removeprefix("data-"): part.get("data") for part in parts}

    @property
    def error(self) -> str | None:
        """What clients were told of an error."""
        told = [str(chunk.get("errorText")) for chunk in self._whole.chunks if chunk["type"] == "error"]
        return told[-1] if told else None

    @property
    def usage(self) -> dict[str, Any]:
        """Tokens of the turn, in the AI SDK's names."""
        return self._whole.usage

    @property
    def finish_reason(self) -> str | None:
        """Why the model ended, in the AI SDK's words."""
        found = [chunk.get("finishReason") for chunk in self._whole.chunks if chunk["type"] == "finish"]
        return found[-1] if found else None

    @property
    def _whole(self) -> _Turn:
        self.wait()
        assert self._turn is not None
        return self._turn

    def __repr__(self) -> str:
        turn = self._turn
        return f"<Answer {self.seq} running>" if turn is None else f"<Answer {self.seq} {turn.outcome}>"


@dataclass(frozen=True, slots=True)
class _Turn:
    """A turn as it stands in the log."""

    chunks: list[Chunk]
    outcome: Outcome
    message_id: str | None
    usage: dict[str, Any]


def read_turn(records: Sequence[OutRecord], seq: int) -> _Turn:
    """The turn that answered inbox record `seq`: its own, or the one that it was steered or merged into."""
    headers = [(record, control_headers(record.raw)) for record in records if record.control is not None]
    if any(record.control == "message-cancelled" and told.get("in") == seq for record, told in headers):
        return _Turn([], "cancelled", None, {})
    begun = [int(told["in"]) for record, told in headers if record.control == "turn-start" and int(told["in"]) <= seq]
    answering = max(begun, default=seq)
    chunks: list[Chunk] = []
    ours, end = False, {}
    for record in records:
        match record.control:
            case None:
                if ours:
                    chunks.append(decode(record.raw))
            case "turn-start":
                ours = control_headers(record.raw).get("in") == answering
            case "turn-complete" if ours:
                end, ours = control_headers(record.raw), False
    outcome: Outcome = end.get("outcome", "running")
    return _Turn(chunks, outcome, end.get("message_id"), end.get("usage", {}))
