"""Many at once: messages of one chat are answered in a row, answers of many chats do not mix."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.frames import Answer, Wire, open_wire
from tests.e2e.script import message, note, say, words
from tests.e2e.server import Server, canonical, text_of
from tests.stack import Gateway, wait_until

pytestmark = pytest.mark.e2e

#: Sends of one chat, and the connections that they come over.
SENDS, CONNECTIONS = 200, 20
#: Chats at once, and the sockets that they share.
CHATS, SOCKETS = 1000, 20


def test_sends_of_many_connections_are_answered_one_at_a_time_in_order(
    fleet: Fleet, gateways: list[Gateway], server: Server, tmp_path: Path
) -> None:
    # Given a chat whose messages say when they begin and end, and wait until all are there
    diary, gate = tmp_path / "diary", tmp_path / "gate"
    chat = server.start("echo")

    def text(number: int) -> str:
        begin, end = note(diary, f"begin {number}"), note(diary, f"end {number}")
        return message({"hold": str(gate)}, begin, {"text": f"answer {number}"}, end)

    async def send_all() -> list[dict[str, Any]]:
        async with AsyncExitStack() as exits:
            wires = [await exits.enter_async_context(open_wire(gateways[at % 2].url)) for at in range(CONNECTIONS)]
            sends = [wires[at % CONNECTIONS].send(chat.chat_id, text(at)) for at in range(SENDS)]
            # When they are sent over many connections at once
            answers = await asyncio.gather(*sends)
            inbox = await asyncio.to_thread(wait_until, lambda: _inbox(fleet, chat.session_id), "all are in the inbox")
            gate.touch()
            told = [await answer.wait() for answer in answers]
            # Then each got the answer to its own message
            assert [text_of(each) for each in told] == [f"answer {number}" for number in range(SENDS)]
            return inbox

    inbox = asyncio.run(send_all())

    # And they were answered one at a time, in the order of the inbox, none lost, none twice
    stored = server.wait_idle(chat.chat_id)
    assert [each["role"] for each in stored] == ["user", "assistant"] * SENDS
    assert canonical(stored[::2]) == canonical(inbox)
    order = [text_of(each).removeprefix("answer ") for each in stored[1::2]]
    assert diary.read_text().splitlines() == [f"{what} {number}" for number in order for what in ("begin", "end")]
    assert [text(int(number)) for number in order] == [text_of(each) for each in inbox]


def test_a_thousand_chats_at_once_are_answered_whole(gateways: list[Gateway], server: Server) -> None:
    async def chat_all() -> list[Answer]:
        async with AsyncExitStack() as exits:
            wires = [await exits.enter_async_context(open_wire(gateways[at % 2].url)) for at in range(SOCKETS)]
            answers = await asyncio.gather(*[_chat(wires[at % SOCKETS], at) for at in range(CHATS)])
            for answer in answers:
                await answer.wait()
            return answers

    answers = asyncio.run(chat_all())

    for number, answer in enumerate(answers):
        types = [chunk["type"] for chunk in answer.chunks]
        assert types[0] == "start", f"{answer.chat_id} lost its first chunk"
        assert types[-1] == "finish", f"{answer.chat_id} lost its last chunk"
        assert _said(answer) == f"{words(3)}chat {number} {words(3, first=3)}"
    for answer in answers[:: CHATS // 20]:
        stored = server.wait_idle(answer.chat_id)
        assert text_of(stored[-1]) == _said(answer)


async def _chat(wire: Wire, number: int) -> Answer:
    text = message(say(3, every_ms=5), {"text": f"chat {number} "}, say(3, every_ms=5))
    return await wire.send(f"thousand-{number}", text)


def _said(answer: Answer) -> str:
    return "".join(chunk["delta"] for chunk in answer.chunks if chunk["type"] == "text-delta")


def _inbox(fleet: Fleet, session_id: str) -> list[dict[str, Any]]:
    """The messages in the inbox, in order; none until all are there."""
    with fleet.redis.client() as client:
        entries: Any = client.xrange(fleet.stack.keys.inbox(session_id))
    return [orjson.loads(found[b"p"])["message"] for _, found in entries] if len(entries) == SENDS else []
