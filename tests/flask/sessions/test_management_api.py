"""What servers ask about sessions: lists with filters and cursors, changes, transcripts, records, claims."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest

from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, echo
from tests.flask.talk import body, chunks_of, until

SESSIONS = "/api/v1/sessions"


def start(gateway: GatewayProcess, chat_id: str, agent: str = "echo", **fields: Any) -> None:
    with gateway.http(SECRET) as http:
        made = http.post(SESSIONS, json={"externalId": chat_id, "taskIdentifier": agent, **fields})
        assert made.status_code == 201, made.text


def listed(gateway: GatewayProcess, **params: Any) -> tuple[list[str], dict[str, str]]:
    """Chat ids of a page, and its cursors."""
    with gateway.http(SECRET) as http:
        answer = http.get(SESSIONS, params=params)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    return [session["externalId"] for session in page["data"]], page["pagination"]


def test_pages_lead_to_each_other_in_both_directions(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    for at in range(7):
        start(gateway, f"c{at}")
    # Sessions of one millisecond stand side by side.
    first = worker.client.zrange(worker.keys.listing(), 0, 3)
    worker.client.zadd(worker.keys.listing(), dict.fromkeys(cast("list[bytes]", first), 5e12))
    everything, ends = listed(gateway)
    assert (len(everything), ends) == (7, {})
    seen, cursors = listed(gateway, **{"page[size]": 3})
    pages = [seen]
    while "next" in cursors:
        seen, cursors = listed(gateway, **{"page[size]": 3, "page[after]": cursors["next"]})
        pages.append(seen)
    assert [each for page in pages for each in page] == everything
    while "previous" in cursors:
        pages.pop()
        seen, cursors = listed(gateway, **{"page[size]": 3, "page[before]": cursors["previous"]})
        assert seen == pages[-1]
    assert len(pages) == 1


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"filter[taskIdentifier]": "other"}, {"b"}),
        ({"filter[taskIdentifier]": "other,echo"}, {"a", "b", "c"}),
        ({"filter[tags]": "red"}, {"a", "b"}),
        ({"filter[tags]": ["red", "blue"]}, {"a", "b", "c"}),
        ({"filter[externalId]": "b"}, {"b"}),
        ({"filter[externalId]": "b", "filter[tags]": "blue"}, set()),
        ({"filter[status]": "CLOSED"}, {"c"}),
        ({"filter[status]": "ACTIVE"}, {"a", "b"}),
        ({"filter[type]": "chat.agent"}, {"a", "b", "c"}),
        ({"filter[type]": "other"}, set()),
        ({"filter[createdAt][period]": "1h"}, {"a", "b", "c"}),
        ({"filter[createdAt][to]": "1000"}, set()),
    ],
)
def test_a_list_is_narrowed(
    gateway: GatewayProcess, worker: ScriptedWorker, filters: dict[str, Any], wanted: set[str]
) -> None:
    start(gateway, "a", tags=["red"])
    start(gateway, "b", "other", tags=["red", "green"])
    start(gateway, "c", tags=["blue"])
    with gateway.http(SECRET) as http:
        http.post(f"{SESSIONS}/c/close")
    assert set(listed(gateway, **filters)[0]) == wanted


def test_a_narrowed_list_has_pages_too(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    for at in range(6):
        start(gateway, f"c{at}", tags=["even" if at % 2 == 0 else "odd", "all"])
    first, cursors = listed(gateway, **{"page[size]": 2, "filter[tags]": "even,none"})
    second, last = listed(gateway, **{"page[size]": 2, "filter[tags]": "even,none", "page[after]": cursors["next"]})
    assert (first, second) == (["c4", "c2"], ["c0"])
    assert "next" not in last


@pytest.mark.parametrize(
    "params",
    [
        {"page[size]": "0"},
        {"page[size]": "101"},
        {"page[after]": "x"},
        {"page[before]": "x", "page[after]": "5"},
        {"filter[status]": "OPEN"},
        {"filter[createdAt][period]": "soon"},
        {"filter[createdAt][from]": "-1"},
    ],
)
def test_a_wrong_query_is_refused(gateway: GatewayProcess, worker: ScriptedWorker, params: dict[str, str]) -> None:
    with gateway.http(SECRET) as http:
        assert http.get(SESSIONS, params=params).status_code == 400


def test_tags_and_metadata_are_replaced(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway, "c1", tags=["old"], metadata={"a": 1})
    with gateway.http(SECRET) as http:
        changed = http.patch(f"{SESSIONS}/c1", json={"tags": ["new"], "externalId": "c1"}).json()
        assert (changed["tags"], changed["metadata"]) == (["new"], {"a": 1})
        assert http.patch(f"{SESSIONS}/c1", json={"metadata": None}).json()["metadata"] is None
        assert http.patch(f"{SESSIONS}/c1", json={"externalId": "c2"}).status_code == 422
        assert http.patch(f"{SESSIONS}/c1", json={"tags": "new"}).status_code == 400
        assert http.patch(f"{SESSIONS}/c1", json={"metadata": [1]}).status_code == 400
        assert http.patch(f"{SESSIONS}/unknown", json={}).status_code == 404
    assert listed(gateway, **{"filter[tags]": "new"})[0] == ["c1"]
    assert listed(gateway, **{"filter[tags]": "old"})[0] == []


@pytest.mark.parametrize(
    ("scopes", "user", "status"),
    [
        (["read:sessions:c1", "write:sessions:c1"], None, 403),
        (["read:all"], None, 403),
        (["write:sessions"], "bob", 403),
        (["write:sessions"], "ann", 200),
        (["write:all"], None, 200),
        (["admin"], None, 200),
    ],
)
def test_managing_a_chat_takes_more_than_its_token(
    gateway: GatewayProcess, worker: ScriptedWorker, scopes: list[str], user: str | None, status: int
) -> None:
    start(gateway, "c1", user="ann")
    with gateway.http(gateway.token(*scopes, user=user)) as http:
        assert http.patch(f"{SESSIONS}/c1", json={"tags": ["x"]}).status_code == status
        assert http.post(f"{SESSIONS}/c1/close").status_code == status


def test_a_transcript_comes_in_pages_from_its_end(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with gateway.http(SECRET) as http:
        for at in range(3):
            chunks_of(http.post("/api/chat", json=body("c1", f"m{at}", f"u{at}")))
        until(lambda: http.get(f"{SESSIONS}/c1").json()["status"] == "idle", "an idle chat")
        history = http.get(f"{SESSIONS}/c1/history").json()
        newest = http.get(f"{SESSIONS}/c1/transcript?limit=4").json()
        older = http.get(f"{SESSIONS}/c1/transcript?limit=4&before={newest['nextCursor']}").json()
    assert older["messages"] + newest["messages"] == history["messages"]
    assert "nextCursor" not in older
    assert newest["cursors"] == {"lastOutEventId": str(history["out_cursor"]), "lastInEventId": "2"}


def test_records_are_read_without_waiting(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    with gateway.http(SECRET) as http:
        chunks_of(http.post("/api/chat", json=body("c1", "hi")))
        until(lambda: http.get(f"{SESSIONS}/c1").json()["status"] == "idle", "an idle chat")
        every = http.get("/realtime/v1/sessions/c1/out/records").json()["records"]
        last = http.get(f"/realtime/v1/sessions/c1/out/records?afterEventId={every[-2]['seqNum']}").json()["records"]
        assert http.get("/realtime/v1/sessions/c1/out/records?afterEventId=x").status_code == 400
    assert every[0] == {"data": {"type": "start", "messageId": "answer-0"}, "id": "1", "seqNum": 1}
    assert last == every[-1:]
    assert last[0]["headers"] == [["trigger-control", "turn-complete"], ["session-in-event-id", "0"]]


def test_claims_are_for_servers(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http(SECRET) as http:
        assert http.post("/api/v1/auth/jwt/claims").json() == {"pub": True}
    with gateway.http(gateway.token("write:all")) as http:
        assert http.post("/api/v1/auth/jwt/claims").status_code == 403


@pytest.mark.parametrize(
    ("expiration", "ttl_s"),
    [({}, 900), ({"expirationTime": "1h"}, 3600), ({"expirationTime": "in 500 s"}, 500)],
)
def test_a_server_has_public_tokens_minted(
    gateway: GatewayProcess, worker: ScriptedWorker, expiration: dict[str, Any], ttl_s: int
) -> None:
    if expiration.get("expirationTime") == "in 500 s":
        expiration = {"expirationTime": int(time.time()) + 500}
    with gateway.http(SECRET) as http:
        answer = http.post("/api/v1/auth/public-tokens", json={"scopes": ["read:sessions:c1"], **expiration})
        assert answer.status_code == 200
    identity = gateway.tokens.read(answer.json()["token"])
    assert identity.scopes == {"read:sessions:c1"}
    assert abs(identity.left_s() - ttl_s) < 60


@pytest.mark.parametrize("scopes", [None, [], "admin", ["admin"]])
@pytest.mark.parametrize("expiration", [1, "soon", True, "900d", []])
def test_a_public_token_needs_scopes_and_an_end(gateway: GatewayProcess, scopes: object, expiration: object) -> None:
    with gateway.http(SECRET) as http:
        for body in ({"scopes": scopes, "expirationTime": expiration}, {"expirationTime": "1h"}):
            assert http.post("/api/v1/auth/public-tokens", json=body).status_code == 400
    with gateway.http(gateway.token("write:all")) as http:
        assert http.post("/api/v1/auth/public-tokens", json={"scopes": ["admin"]}).status_code == 403
