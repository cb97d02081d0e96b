"""The injected messages of one turn: those that it finds, those that come while it runs, and where it read them.

They stay in the session's list until the commit takes away as many as the turn has read. So an attempt that dies has
lost none, and the next one knows by the marks in the kept answer which of them its model has read already.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chatagent.llm import current_tool_options
from chatagent.runtime.lane import INJECTED, Lane, marker
from chatagent.runtime.patience import patiently
from chatagent.runtime.port import Claim, Store
from chatagent.ui import encode_value

UIMessage = dict[str, Any]
ModelMessage = dict[str, Any]


class Injection:
    """Takes injected messages in, each once."""

    def __init__(self, claim: Claim, store: Store) -> None:
        #: How many messages of the list this turn has read.
        self.taken = 0
        #: There are some that it has not read, as far as it knows.
        self.owed = bool(claim.injected)
        self._claim = claim
        self._store = store
        self._put: Counter[str] = Counter()

    async def put(self, messages: Sequence[ModelMessage]) -> None:
        """Inject messages into this chat. Code that runs again after a crash says nothing twice."""
        options = current_tool_options()
        place = f"{self._claim.record.seq} {options.tool_call_id if options is not None else ''}"
        key = once(place, messages, self._put)
        self.owed = True
        await patiently(lambda: self._store.inject(self._claim.session_id, messages, key=key), "messages not injected")

    def begin(self, lane: Lane, asked: str, messages: Sequence[UIMessage], stored: Sequence[UIMessage]) -> Lane:
        """The lane with what was there when the turn began, behind the message that is `asked`.

        What a dead attempt read between two steps that are kept (they are in `messages`, not yet in `stored`) goes
        where it read it. An answer that goes on with a stored one (`asked` is empty) reads the rest at its next step.
        """
        marks = _marks(messages, stored)
        found = self._claim.injected
        if asked:
            first = marks[0].begin if marks else len(found)
            lane = lane.noted(asked, _joined(found[:first]))
            self.taken = first
        for mark in marks:
            lane = lane.noted(mark.place, _joined(found[mark.begin : mark.end]))
            self.taken = max(self.taken, mark.end)
        self.owed = bool(self._put) or self.taken < len(found)
        return lane

    def instructions(self) -> list[str]:
        """Those among what `begin` took in."""
        return _instructions(self._claim.injected[: self.taken])

    async def take(self) -> Injected:
        """What has come since."""
        begin = self.taken
        found = await patiently(
            lambda: self._store.injected(self._claim.session_id, begin), "injected messages not read"
        )
        self.taken, self.owed = begin + len(found), False
        return Injected(begin, found)


@dataclass(frozen=True, slots=True)
class Injected:
    """Messages of the list, from the place `begin` on."""

    begin: int
    messages: Sequence[ModelMessage]

    @property
    def joined(self) -> list[ModelMessage]:
        """Those that join the conversation."""
        return _joined(self.messages)

    @property
    def instructions(self) -> list[str]:
        """Those that are for one answer."""
        return _instructions(self.messages)

    def marker(self) -> tuple[str, dict[str, Any]]:
        """The place in the answer at which they are read, and the chunk that makes it."""
        place = [self.begin, self.begin + len(self.messages)]
        return marker(INJECTED, {"messages": len(self.joined), "injected": place})


def once(place: str, messages: Sequence[ModelMessage], said: Counter[str]) -> str:
    """A key by which these messages, said again at this place by code that runs again, are known.

    `said` counts what this attempt has said: the same text twice is meant twice.
    """
    what = hashlib.sha256(f"{place}\0{encode_value(list(messages))!r}".encode()).hexdigest()[:32]
    said[what] += 1
    return f"{what}-{said[what]}"


@dataclass(frozen=True, slots=True)
class _Mark:
    place: str
    begin: int
    end: int


def _marks(messages: Iterable[UIMessage], stored: Iterable[UIMessage]) -> list[_Mark]:
    """Where an attempt before this one took messages in, in order."""
    known = {part.get("id") for part in _marker_parts(stored)}
    found = []
    for part in _marker_parts(messages):
        place = (part.get("data") or {}).get("injected")
        if place is not None and part.get("id") not in known:
            found.append(_Mark(str(part["id"]), *place))
    return found


def _marker_parts(messages: Iterable[UIMessage]) -> Iterator[dict[str, Any]]:
    return (part for message in messages for part in message.get("parts", ()) if part.get("type") == INJECTED)


def _joined(messages: Iterable[ModelMessage]) -> list[ModelMessage]:
    return [message for message in messages if message.get("role") != "system"]


def _instructions(messages: Iterable[ModelMessage]) -> list[str]:
    return [str(message.get("content", "")) for message in messages if message.get("role") == "system"]
