"""The answer of a turn as it grows: one `start`, one end, whatever was piped in between, folded as it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from chatagent.agent.data_part import DataParts
from chatagent.errors import ChatAgentError, ConfigError
from chatagent.ids import new_id
from chatagent.ui import Fold, asks_to_go_on, decode, encode, tidy_chunk, validate_chunk

Chunk = dict[str, Any]
UIMessage = dict[str, Any]


class Log(Protocol):
    """Where chunks go once they are part of the answer."""

    @property
    def full(self) -> bool:
        """There is no room for more until some of it was written."""

    def ready(self, chunk: Chunk) -> Sequence[Any]:
        """What `put` takes. Raises: ChatAgentError for what cannot be sent."""

    def put(self, items: Sequence[Any]) -> None:
        """Send it."""


class Response:
    """Folds and forwards the chunks of one turn.

    Sources may each bring a `start`, `finish`, `abort` or `error`; the turn has exactly one start, and exactly one
    end, which comes last because clients stop reading at it.
    """

    def __init__(
        self,
        message_id: str,
        initial: UIMessage | None,
        log: Log,
        *,
        open_step: bool = False,
        started: bool = False,
        bare: bool = False,
        parts: DataParts | None = None,
    ) -> None:
        """`bare`: there is no message, only chunks for whoever listens. `parts` checks data and metadata."""
        #: Clients have the answer's start.
        self.started = started
        self.message_id = message_id
        self.finish_reason: str | None = None
        self.error_text: str | None = None
        self._log = log
        self._bare = bare
        self._parts = parts or DataParts()
        self._fold = Fold(initial if initial is not None else {"id": message_id, "role": "assistant", "parts": []})
        self._finish_metadata: Any = None
        self._ended = False
        self._boundaries: list[Chunk] = []
        #: A broken step is being redone: what comes first goes on inside it.
        self._inside_step = open_step

    @property
    def message(self) -> UIMessage:
        """The message so far; empty `parts` when nothing was answered."""
        return self._fold.message

    @property
    def empty(self) -> bool:
        """Nothing worth keeping was written."""
        return not any(part.get("type") != "step-start" for part in self.message["parts"])

    def start(self) -> None:
        """Open the answer; clients show it from here on."""
        self.started = True
        self._write({"type": "start", "messageId": self.message_id})

    def restart(self, *, anew: bool) -> None:
        """Forget what an earlier attempt wrote and begin again; `anew`: as another message, since that one is kept."""
        if anew:
            self.message_id = new_id("msg_")
        begun = [] if anew else [{"type": "step-start"}]
        self._fold = Fold({"id": self.message_id, "role": "assistant", "parts": begun})
        self._boundaries, self._inside_step = [], not anew
        if anew:
            self.start()
        else:
            self._emit({"type": "reset-step"})

    def snapshot(self) -> UIMessage:
        """A copy of the message; the live one changes with every chunk."""
        return decode(encode(self.message))

    def write(self, chunk: Chunk) -> None:
        """Add one chunk of a source.

        Raises: BadRequest for one that clients would refuse, ConfigError, StreamError, ChatAgentError for one that is
        too large or too much; nothing is changed then.
        """
        if self._ended:
            raise ConfigError("the answer has ended: write into it in on_before_turn_complete at the latest")
        if self._log.full:
            raise ChatAgentError("the turn writes faster than Redis takes it: yield its chunks, or pipe them, to wait")
        chunk = self._parts.check(tidy_chunk(chunk), metadata=self._fold.metadata)
        validate_chunk(chunk)
        if self._bare:
            self._emit(chunk)
            return
        if not self.started:
            self.start()
        match chunk["type"]:
            case "start":
                self._metadata(chunk.get("messageMetadata"))
            case "finish":
                self.finish_reason = chunk.get("finishReason", self.finish_reason)
                self._finish_metadata = chunk.get("messageMetadata", self._finish_metadata)
            case "abort":
                self.finish_reason = None
            case "error":
                self.error_text = chunk["errorText"]
            case "start-step" | "finish-step":
                self._boundary(chunk)
            case _:
                self._flush_boundaries()
                self._write(chunk)

    def end(self, *, stopped: bool, dangling: str | None = None) -> None:
        """Close what is open and write the one end: `error`, `abort` or `finish`.

        `dangling` is what tool calls are answered that nobody will answer any more. An answer that never started
        (of an action that only edits) has no end but an error.
        """
        self._ended = True
        if not self.started:
            if self.error_text is not None:
                self._emit({"type": "error", "errorText": self.error_text})
            return
        for chunk in self._fold.closing(dangling):
            self._flush_boundaries()
            self._write(chunk)
        if self._boundaries and self._boundaries[-1]["type"] == "start-step":
            # Browsers would not show a step without content; the store must not hold one either.
            self._boundaries.pop()
        self._flush_boundaries()
        if self.error_text is None and asks_to_go_on(self._fold.message):
            self._close_step("stopped" if stopped else "tool-calls")
        if self.error_text is not None or stopped:
            self._metadata(self._finish_metadata)
            text = self.error_text
            self._emit({"type": "abort"} if text is None else {"type": "error", "errorText": text})
        else:
            self.finish_reason = self.finish_reason or "stop"
            metadata = {} if self._finish_metadata is None else {"messageMetadata": self._finish_metadata}
            self._write({"type": "finish", "finishReason": self.finish_reason, **metadata})

    def _close_step(self, reason: str) -> None:
        """End with a step that holds no tool call: pages that send answered calls on by themselves come to rest."""
        for chunk in (
            {"type": "start-step"},
            {"type": "data-turn-end", "data": {"reason": reason}},
            {"type": "finish-step"},
        ):
            self._write(chunk)

    def _boundary(self, chunk: Chunk) -> None:
        """Hold a step's boundary until something follows it.

        So the last step stays open until the commit, which closes it in the same script: an attempt that dies in
        between is seen to be unfinished.
        """
        inside, self._inside_step = self._inside_step, False
        if inside and chunk["type"] == "start-step":
            return
        if chunk["type"] == "finish-step" and self._boundaries and self._boundaries[-1]["type"] == "start-step":
            self._boundaries.pop()
        else:
            self._boundaries.append(chunk)

    def _flush_boundaries(self) -> None:
        boundaries, self._boundaries = self._boundaries, []
        for chunk in boundaries:
            self._write(chunk)

    def _metadata(self, metadata: Any) -> None:
        if metadata is not None:
            self._write({"type": "message-metadata", "messageMetadata": metadata})

    def _write(self, chunk: Chunk) -> None:
        # In this order: what cannot be sent must not be stored.
        items = self._log.ready(chunk)
        self._fold.add(chunk)
        self._log.put(items)

    def _emit(self, chunk: Chunk) -> None:
        self._log.put(self._log.ready(chunk))
