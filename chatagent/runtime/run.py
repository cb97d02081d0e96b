"""A run: what a process keeps of a chat between its turns, while it is warm."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from chatagent.agent.local import Locals
from chatagent.runtime.conversation import UIMessage
from chatagent.runtime.lane import Lane, read_lane
from chatagent.runtime.port import Claim


@dataclass(slots=True, eq=False)
class Run:
    """A span of turns that shares in-process state. `epoch` is that of its last turn here."""

    session_id: str
    run_id: str
    epoch: int
    history: list[UIMessage]
    continuation: bool
    previous_run_id: str | None
    #: This process has not had the run before: `on_boot` is due.
    fresh: bool = True
    preloaded: bool = False
    locals: Locals = field(default_factory=Locals)
    lane: Lane = field(default_factory=Lane)
    #: The system prompt that `chat.prompt.set` gave it.
    prompt: Any = None
    #: Tokens of its chat's last turn.
    previous_usage: dict[str, Any] | None = None
    #: Its code waits in this process (a loop): it is over when it leaves.
    bound: bool = False
    #: What `chat.set_idle_timeout` and `chat.set_turn_timeout` said.
    idle_timeout_s: float | None = None
    turn_timeout_s: float | None = None
    #: Runs the hooks of a run that leaves its process.
    leave: Callable[[], Awaitable[None]] | None = None

    def restore(self, claim: Claim) -> None:
        """Take over what the session keeps of the run; of a run that is over, only the conversation."""
        self.lane = read_lane(claim.lane)
        self.preloaded = claim.preloaded
        kept = claim.locals
        self.previous_usage = kept.get("usage")
        if claim.run_state != "new" or kept.get("until_ms", 0) > time.time() * 1000:
            self.locals = Locals(stored=dict(kept.get("values", {})))
            self.prompt = kept.get("prompt")
            self.idle_timeout_s, self.turn_timeout_s = kept.get("idle_s"), kept.get("turn_s")

    def state(self, run_s: float) -> bytes:
        """What the session keeps of the run (field `locals`) for `run_s` seconds."""
        kept: dict[str, Any] = {"usage": self.previous_usage or {}}
        if run_s > 0:
            kept |= {"until_ms": int((time.time() + run_s) * 1000), **self.kept()}
        return orjson.dumps(kept)

    def kept(self) -> dict[str, Any]:
        """What its author's code said of it, as far as JSON can say it."""
        said = {"prompt": self.prompt, "idle_s": self.idle_timeout_s, "turn_s": self.turn_timeout_s}
        return {"values": self.locals.snapshot(), **{name: each for name, each in said.items() if each is not None}}
