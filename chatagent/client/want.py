"""What the sans-I/O half of the client asks of the half that talks: calls, bytes, pauses, tokens."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Chunk = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, answered with a `Reply`. Of a `stream` the body comes by `Read`, if the status is 200."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a gateway answered; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Read:
    """The next bytes of the open stream; empty at its end."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A pause."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Renew:
    """A fresh token, from the app's own function."""


@dataclass(frozen=True, slots=True)
class Give:
    """A chunk for whoever iterates; nothing is answered."""

    chunk: Chunk


Want = Call | Read | Wait | Renew | Give
#: A conversation with a gateway: yields what it wants, is sent the answers, returns its result.
Steps = Generator[Want, Any, T]


class Lost(Exception):
    """The connection broke. `sent`: the request may have reached the gateway."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class Flow(Generic[T]):
    """Steps that somebody goes through: `advance` until it gives None, then `value` is there."""

    value: T

    def __init__(self, steps: Steps[T]) -> None:
        self._steps = steps

    def advance(self, answer: Any = None, error: Lost | None = None) -> Want | None:
        """Hand over what was wanted, or why it could not be had, and get the next wish."""
        try:
            return self._steps.throw(error) if error is not None else self._steps.send(answer)
        except StopIteration as end:
            self.value = end.value
            return None
