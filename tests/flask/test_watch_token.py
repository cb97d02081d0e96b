"""A watch lasts as long as the token that it was asked for with."""

from __future__ import annotations

from typing import Any

from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, echo
from tests.flask.talk import body, socket

#: Clocks may differ by five seconds, so this token is good for one.
SHORT_S = -4


def say(gateway: GatewayProcess, text: str, message_id: str) -> None:
    with gateway.http(gateway.token()) as http:
        assert http.post("/api/chat", json=body("c1", text, message_id)).status_code == 200


def kinds(frames: list[dict[str, Any]]) -> set[str]:
    return {frame["type"] for frame in frames}


def test_a_watch_ends_with_its_token_and_goes_on_from_the_cursor(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    worker.serve(echo)
    say(gateway, "one", "u1")
    with socket(gateway, gateway.token("read:sessions:c1", ttl_s=SHORT_S)) as ws:
        ws.put("watch", requestId="w", id="c1", cursor=-1)
        frames = ws.until("error")
        assert kinds(frames) == {"start", "record", "error"}
        assert (frames[-1]["requestId"], frames[-1]["code"]) == ("w", "unauthorized")
        say(gateway, "two", "u2")
        ws.put("auth", token=gateway.token("read:sessions:c1"))
        ws.put("watch", requestId="w", id="c1", cursor=frames[-2]["seq"])
        assert [frame["type"] for frame in ws.until("record")] == ["ok", "start", "record"]


def test_a_renewed_token_keeps_the_watch(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    say(gateway, "one", "u1")
    with (
        socket(gateway, gateway.token("read:sessions:c1", ttl_s=SHORT_S)) as ws,
        socket(gateway, gateway.token("read:sessions:c1", ttl_s=SHORT_S)) as other,
    ):
        for each in (ws, other):
            each.put("watch", requestId="w", id="c1")
        ws.put("auth", token=gateway.token("read:sessions:c1"))
        ws.until("ok")
        other.until("error")
        say(gateway, "two", "u2")
        assert kinds(ws.until("record")) <= {"start", "queue", "record"}
