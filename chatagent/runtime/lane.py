"""What the model reads beside the UI messages: summaries in place of what they sum up, and injected messages. Pure.

The places are kept by message id, or by the id of a marker part inside an answer; a place that is gone (the chat was
edited) takes what stood there with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chatagent.ids import new_id

UIMessage = dict[str, Any]
ModelMessage = dict[str, Any]
Convert = Callable[[list[UIMessage]], list[ModelMessage]]

#: Parts that mark where in an answer something was put into the model's conversation.
INJECTED = "data-background-injected"
COMPACTED = "data-compacted"
_MARKERS = (INJECTED, COMPACTED)


@dataclass(frozen=True, slots=True)
class Note:
    """Model messages behind the place `after`."""

    after: str
    messages: tuple[ModelMessage, ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """`summary` stands for everything up to the place `through`."""

    summary: tuple[ModelMessage, ...] = ()
    through: str | None = None
    notes: tuple[Note, ...] = ()

    def noted(self, after: str, messages: Iterable[ModelMessage]) -> Lane:
        """With further messages behind a place."""
        found = tuple(messages)
        return replace(self, notes=(*self.notes, Note(after, found))) if found else self

    def compacted(self, through: str, summary: Iterable[ModelMessage]) -> Lane:
        """With everything up to a place summed up; notes before it are part of the summary."""
        return replace(self, summary=tuple(summary), through=through)

    def sums_up(self, messages: Sequence[UIMessage]) -> bool:
        """Whether its summary stands for a part of this conversation."""
        return self.through is not None and self.through in set(_places(messages))

    def to_json(self) -> dict[str, Any]:
        """As it is stored; empty when there is nothing."""
        found: dict[str, Any] = {}
        if self.through is not None:
            found |= {"summary": list(self.summary), "through": self.through}
        if self.notes:
            found["notes"] = [{"after": note.after, "messages": list(note.messages)} for note in self.notes]
        return found

    def pruned(self, messages: Sequence[UIMessage]) -> Lane:
        """Without what no place of this conversation holds any more."""
        places = set(_places(messages))
        kept = tuple(note for note in self.notes if note.after in places)
        if self.through in places:
            before = _before(messages, str(self.through))
            return replace(self, notes=tuple(note for note in kept if note.after not in before))
        return replace(self, summary=(), through=None, notes=kept)


def read_lane(stored: dict[str, Any]) -> Lane:
    """A lane as it was stored."""
    return Lane(
        summary=tuple(stored.get("summary", ())),
        through=stored.get("through"),
        notes=tuple(Note(note["after"], tuple(note["messages"])) for note in stored.get("notes", ())),
    )


def marker(kind: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The id of a new place inside the answer, and the chunk that makes it."""
    place = new_id()
    return place, {"type": kind, "id": place, "data": data}


def model_messages(messages: Sequence[UIMessage], lane: Lane, convert: Convert) -> list[ModelMessage]:
    """The conversation as the model reads it."""
    known = lane.sums_up(messages)
    notes = {note.after: note.messages for note in lane.notes}
    found: list[ModelMessage] = []
    waiting: list[UIMessage] = []
    for fragment, place in _fragments(messages):
        waiting.append(fragment)
        if known and place == lane.through:
            found, waiting = list(lane.summary), []
        if place in notes:
            found += convert(waiting) if waiting else []
            found += notes[place]
            waiting = []
    return found + (convert(waiting) if waiting else [])


def _fragments(messages: Sequence[UIMessage]) -> Iterator[tuple[UIMessage, str]]:
    """The messages, cut behind their markers, each with the place behind it."""
    for message in messages:
        begin, parts = 0, message.get("parts", ())
        for at, part in enumerate(parts):
            if part.get("type") in _MARKERS:
                yield {**message, "parts": list(parts[begin : at + 1])}, str(part.get("id"))
                begin = at + 1
        whole = message if begin == 0 else {**message, "parts": list(parts[begin:])}
        yield whole, str(message.get("id"))


def _places(messages: Sequence[UIMessage]) -> Iterator[str]:
    return (place for _, place in _fragments(messages))


def _before(messages: Sequence[UIMessage], through: str) -> set[str]:
    """The places before `through`."""
    found: set[str] = set()
    for place in _places(messages):
        if place == through:
            break
        found.add(place)
    return found
