"""Both colours of the client behind one face, so that each test is written once and run with each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from chatagent.client import AsyncChat, Chat, Limits, Result

Chunk = dict[str, Any]

#: Quick, because everything is on this machine.
LIMITS = Limits(connect_s=5, read_s=20, call_s=20, retries=8, pause_s=0.01, longest_pause_s=0.2)


@dataclass(frozen=True)
class Told:
    """An answer as somebody saw it who iterated over it."""

    chunks: list[Chunk]
    result: Result

    @property
    def text(self) -> str:
        return "".join(chunk["delta"] for chunk in self.chunks if chunk["type"] == "text-delta")


class Colour:
    """`ask` opens a chat, calls one of its verbs and reads the answer; `call` gives what a verb gives."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ask(self, options: dict[str, Any], verb: str, *args: Any, **further: Any) -> Told:
        """Read a whole answer."""
        if self.name == "threads":
            with Chat(**options) as chat, getattr(chat, verb)(*args, **further) as answer:
                return Told(list(answer), answer.result())

        async def run() -> Told:
            async with AsyncChat(**options) as chat, await getattr(chat, verb)(*args, **further) as answer:
                return Told([chunk async for chunk in answer], await answer.result())

        return asyncio.run(run())

    def call(self, options: dict[str, Any], verb: str, *args: Any, **further: Any) -> Any:
        """What a verb without a stream gives."""
        if self.name == "threads":
            with Chat(**options) as chat:
                return getattr(chat, verb)(*args, **further)

        async def run() -> Any:
            async with AsyncChat(**options) as chat:
                return await getattr(chat, verb)(*args, **further)

        return asyncio.run(run())

    def __repr__(self) -> str:
        return self.name


COLOURS = (Colour("threads"), Colour("asyncio"))
