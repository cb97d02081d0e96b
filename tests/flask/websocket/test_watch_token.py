"""A watch lasts as long as the token that it was asked for with."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from websockets.exceptions import InvalidStatus

from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, echo
from tests.flask.talk import Socket, body, socket

#: Lives of tokens, in seconds; clocks may differ by five, so the first is good for one. Where the machine is so busy
#: that it ends before the test has begun, the next one is tried.
LIVES_S = (-4, -2, 2, 10)


def say(gateway: GatewayProcess, text: str, message_id: str) -> None:
    with gateway.http(gateway.token()) as http:
        assert http.post("/api/chat", json=body("c1", text, message_id)).status_code == 200


def kinds(frames: list[dict[str, Any]]) -> set[str]:
    return {frame["type"] for frame in frames}


def watch(gateway: GatewayProcess, exits: ExitStack, life_s: float, count: int) -> list[Socket] | None:
    """Sockets that watch the chat with one token of this life; None when it had ended before."""
    token = gateway.token("read:sessions:c1", ttl_s=life_s)
    try:
        sockets = [exits.enter_context(socket(gateway, token)) for _ in range(count)]
    except InvalidStatus:
        return None
    for ws in sockets:
        ws.put("watch", requestId="w", id="c1", cursor=-1)
    return sockets


def test_a_watch_ends_with_its_token_and_goes_on_from_the_cursor(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    worker.serve(echo)
    say(gateway, "one", "u1")
    for life_s in LIVES_S:
        with ExitStack() as exits:
            sockets = watch(gateway, exits, life_s, 1)
            frames = sockets[0].until("error") if sockets else []
            if not sockets or kinds(frames) == {"error"}:
                continue
            assert kinds(frames) == {"start", "record", "error"}
            assert (frames[-1]["requestId"], frames[-1]["code"]) == ("w", "unauthorized")
            say(gateway, "two", "u2")
            sockets[0].put("auth", token=gateway.token("read:sessions:c1"))
            sockets[0].put("watch", requestId="w", id="c1", cursor=frames[-2]["seq"])
            assert [frame["type"] for frame in sockets[0].until("record")] == ["ok", "start", "record"]
            return
    raise AssertionError("the machine was too busy for every token")


def test_a_renewed_token_keeps_the_watch(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    say(gateway, "one", "u1")
    for life_s in LIVES_S:
        with ExitStack() as exits:
            sockets = watch(gateway, exits, life_s, 2)
            if not sockets:
                continue
            renewed, other = sockets
            renewed.put("auth", token=gateway.token("read:sessions:c1"))
            if "error" in kinds(renewed.until("ok")):
                continue
            other.until("error")
            say(gateway, "two", "u2")
            frames = renewed.until("error", "record")
            while frames[-1].get("control", {}).get("in") != 1:
                frames = renewed.until("error", "record")
                assert frames[-1]["type"] == "record"
            return
    raise AssertionError("the machine was too busy for every token")


def test_a_token_for_another_chat_keeps_no_watch(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    say(gateway, "one", "u1")
    for life_s in LIVES_S:
        with ExitStack() as exits:
            sockets = watch(gateway, exits, life_s, 1)
            if not sockets:
                continue
            sockets[0].put("auth", token=gateway.token("read:sessions:c2"))
            if "error" in kinds(sockets[0].until("ok")):
                continue
            told = sockets[0].until("error")[-1]
            assert (told["requestId"], told["code"]) == ("w", "unauthorized")
            return
    raise AssertionError("the machine was too busy for every token")
