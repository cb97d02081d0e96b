"""Side channels: written, followed and read beside the chat, each side by who may."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.s2_reader import Reader, subscribe
from tests.flask.scripted_worker import ScriptedWorker
from tests.flask.sessions.test_realtime import start

BASE = "/realtime/v1/sessions/c1/channels"


def test_a_side_is_written_once_read_and_followed_from_a_cursor(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    start(gateway)
    with gateway.http(SECRET) as http:
        frames: list[object] = [{"at": 1}, "text", [1, 2], False, {"text": "a\nb"}]
        for number, frame in enumerate(frames):
            answer = http.post(f"{BASE}/shots/out/append", json=frame, headers={"X-Part-Id": f"p{number}"})
            assert answer.json() == {"ok": True, "seq": number}
        again = http.post(f"{BASE}/shots/out/append", json={"at": 1}, headers={"X-Part-Id": "p0"})
        assert again.json() == {"ok": True, "seq": 0}
        assert http.post(f"{BASE}/shots/out/append", content="not JSON").json() == {"ok": True, "seq": 5}
        records = http.get(f"{BASE}/shots/out/records").json()["records"]
        assert [(each["seqNum"], each["data"]) for each in records] == list(enumerate([*frames, "not JSON"]))
        assert records[0]["id"] == "p0"
        after = http.get(f"{BASE}/shots/out/records", params={"afterEventId": 4}).json()["records"]
        assert [each["seqNum"] for each in after] == [5]
        # Neither the other side, nor another channel, nor the chat holds any of it.
        for other in (f"{BASE}/shots/in/records", f"{BASE}/other/out/records", "/realtime/v1/sessions/c1/out/records"):
            assert http.get(other).json() == {"records": []}
        with subscribe(http, "c1/channels/shots", Last_Event_ID="3") as reader:
            assert seqs(reader, 2) == [4, 5]
            http.post(f"{BASE}/shots/out/append", json={"at": 2})
            assert seqs(reader, 1) == [6]
        with subscribe(http, "c1/channels/shots", X_Trigger_Stream_Start="latest") as reader:
            http.post(f"{BASE}/shots/out/append", json={"at": 3})
            assert seqs(reader, 1) == [7]


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("sessions:c1", {"read in", "read out", "write in"}),
        ("sessions:c1:channels:shots", {"read in", "read out", "write in"}),
        ("sessions:c1:channels:shots:out", {"read out"}),
        ("sessions:c1:channels:shots:in", {"read in", "write in"}),
        ("sessions:c1:channels:other", set[str]()),
        ("sessions:c2", set[str]()),
    ],
)
def test_a_token_opens_what_its_scope_names(
    gateway: GatewayProcess, worker: ScriptedWorker, scope: str, allowed: set[str]
) -> None:
    start(gateway)
    found = set()
    with gateway.http(gateway.token(f"read:{scope}", f"write:{scope}")) as http:
        for side in ("in", "out"):
            if http.get(f"{BASE}/shots/{side}/records").status_code == 200:
                found.add(f"read {side}")
            if http.post(f"{BASE}/shots/{side}/append", json={}).status_code == 200:
                found.add(f"write {side}")
        if "channels" in scope:
            assert http.get("/realtime/v1/sessions/c1/out/records").status_code == 403
    assert found == allowed


def test_what_is_no_channel_is_refused(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(SECRET) as http:
        assert http.get(f"{BASE}/a b/out/records").status_code == 400
        assert http.get(f"{BASE}/{'a' * 129}/out/records").status_code == 400
        assert http.get("/realtime/v1/sessions/nobody/channels/a/out").status_code == 404
        assert http.post(f"{BASE}/a/in/append", content=b"x" * (1024 * 1024 + 1)).status_code == 413
        assert http.post(f"{BASE}/a/in/append").status_code == 400
        named = {"taskIdentifier": "echo", "externalId": "c1:channels:a"}
        assert http.post("/api/v1/sessions", json=named).status_code == 400
        http.post("/api/v1/sessions/c1/close", json={})
        assert http.post(f"{BASE}/a/in/append", json={}).json()["code"] == "session_closed"


def seqs(reader: Reader, count: int) -> list[int]:
    """Numbers of the next records."""
    return [record["seq_num"] for record in islice(reader.records(), count)]
