"""A worker dies between any two writes of a tool-calling turn; another finishes it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chatagent import chat, stream_text, tool
from chatagent.redis import RedisBackend
from chatagent.redis.session import Session
from chatagent.runtime.port import Batch
from chatagent.ui import encode, fold_message
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.redis.chat import gateway
from tests.runtime.world import World, text_of


def _last_turn(world: World, session: Session) -> list[dict[str, Any]]:
    """The chunks of the answer that was last begun."""
    chunks = world.chunks(session)
    starts = [at for at, chunk in enumerate(chunks) if chunk["type"] == "start"]
    return chunks[starts[-1] :]


async def die_after(world: World, session: Session, chunks: list[dict[str, Any]]) -> None:
    """What a worker leaves that claimed the turn and wrote `chunks` before it was killed."""
    store = RedisBackend(world.url, "test").open_worker("dead", "queue.dead")
    claim = await store.claim(session.id)
    assert claim is not None
    for number, chunk in enumerate(chunks, 1):
        await store.append([Batch(session.id, claim.epoch, number, [encode(chunk)])])
    await store.close()
    world.side.client.hset(f"test:{{{session.id}}}:session", "lease_until", 1)


class SideEffects:
    """What tools did, in a file: a line each, as another process would find it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()

    def append(self, line: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{line}\n")

    def take(self) -> list[str]:
        """All lines, once."""
        lines = self._path.read_text().split()
        self._path.write_text("")
        return lines


@pytest.mark.filterwarnings(*LITELLM_WARNINGS)
@pytest.mark.parametrize("start", ["cold", "warm"])
def test_finished_tools_run_once_and_the_message_is_whole_whenever_a_worker_dies(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner, tmp_path: Path, start: str
) -> None:
    """Cold: the chat's first turn. Warm: the worker that goes on still holds the chat of a turn before."""
    ran = SideEffects(tmp_path / "effects")

    @tool
    async def north(n: int) -> str:
        """Look north."""
        ran.append("north")
        return "snow"

    @tool
    def south(n: int) -> str:
        """Look south."""
        ran.append("south")
        return "sand"

    @chat.agent("compass", tools=[north, south])
    async def compass(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: World) -> None:
        async with world.engine(compass) as engine:
            whole = world.chat(compass, "whole")
            assert await world.turn(engine, whole, "tools please") == "completed"
            chunks = world.chunks(whole)
            assert sorted(ran.take()) == ["north", "south"]
            expected = text_of(world.history(whole))
            # The last two chunks, finish-step and finish, are written by the commit: all or nothing.
            for written in range(len(chunks) - 1):
                session = world.chat(compass, f"died-after-{written}")
                if start == "warm":
                    assert await world.turn(engine, session, "hello", "u0") == "completed"
                world.say(session, "tools please")
                await die_after(world, session, chunks[:written])
                assert await engine.run_turn("compass", session.id) == "completed", written
                answered = {chunk.get("toolCallId") for chunk in chunks[:written] if "output" in chunk}
                lines = ran.take()
                assert len(lines) == len(set(lines)) == 2 - len(answered), (written, lines)
                user, answer = world.history(session)[-2:]
                assert text_of([user, answer]) == expected, written
                outputs = [part["output"] for part in answer["parts"] if "output" in part]
                assert outputs == ["snow", "sand"], written
                assert fold_message(_last_turn(world, session)) == answer, written

    with gateway(redis_url) as side:
        model_loop.run(test(World(redis_url, side)))
