"""Sessions and tokens from Python."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import psutil
import pytest

from chatagent import auth, chat, sessions
from chatagent.errors import BadRequest, Busy, Closed, ConfigError, NotFound
from chatagent.sessions import AsyncSessions, Sessions
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, echo, say


def test_a_session_is_started_once(place: GatewayProcess, worker: ScriptedWorker) -> None:
    made = sessions.start("echo", chat_id="c1", tags=["a"], metadata={"plan": "pro"}, user="ann")
    again = sessions.start("echo", chat_id="c1")
    assert (made.created, again.created, made.id) == (True, False, again.id)
    assert (made.chat_id, made.agent, made.tags, made.metadata, made.user) == (
        *("c1", "echo", ("a",), {"plan": "pro"}, "ann"),
    )
    assert sessions.retrieve(made.id).chat_id == "c1"
    assert sessions.start("echo").chat_id != sessions.start("echo").chat_id


def test_a_session_may_begin_with_a_message(place: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    sessions.start("echo", chat_id="c1", message="hi", client_data={"user_id": "ann"})
    text = ""
    for record in sessions.open("c1").out.read():
        if record.control == "turn-complete":
            break
        text += record.chunk["delta"] if record.chunk and record.chunk["type"] == "text-delta" else ""
    assert text == "You said: hi"


def test_tags_and_metadata_are_replaced_and_a_close_is_for_good(place: GatewayProcess, worker: ScriptedWorker) -> None:
    sessions.start("echo", chat_id="c1", tags=["a"])
    changed = sessions.update("c1", tags=["b"], metadata={"n": 1})
    assert (changed.tags, changed.metadata) == (("b",), {"n": 1})
    assert sessions.close("c1", "done").closed_reason == "done"
    closed = sessions.close("c1", "again")
    assert (closed.closed_reason, closed.status) == ("done", "closed")
    assert closed.closed_at is not None
    with pytest.raises(Closed):
        sessions.start("echo", chat_id="c1")
    with pytest.raises(NotFound):
        sessions.retrieve("unknown")


def test_listings_are_narrowed_and_come_in_pages(place: GatewayProcess, worker: ScriptedWorker) -> None:
    for number in range(5):
        sessions.start("echo", chat_id=f"c{number}", user="ann" if number % 2 else "ben", tags=[f"t{number % 2}"])
    sessions.start("other", chat_id="o")
    sessions.close("c1")

    def ids(**filters: Any) -> list[str]:
        return [each.chat_id for each in sessions.list(**filters)]

    assert ids(limit=2) == ["o", "c4", "c3", "c2", "c1", "c0"]
    assert ids(agent="echo", limit=2) == ["c4", "c3", "c2", "c1", "c0"]
    assert ids(user="ann") == ["c3", "c1"]
    assert ids(user="ann", status="active") == ["c3"]
    assert ids(user="ben", tag="t0", status="idle", limit=1) == ["c4", "c2", "c0"]
    assert ids(status="closed") == ["c1"]
    assert ids(status="running") == []
    page = sessions.page(user="ben", limit=2)
    assert [each.chat_id for each in page.sessions] == ["c4", "c2"]
    assert page.next is not None
    rest = sessions.page(user="ben", limit=2, cursor=page.next)
    assert ([each.chat_id for each in rest.sessions], rest.next) == (["c0"], None)
    assert rest.previous is not None
    back = sessions.page(user="ben", limit=2, cursor=rest.previous)
    assert [each.chat_id for each in back.sessions] == ["c4", "c2"]


@chat.agent("echo")
async def echoing(turn: chat.Turn[Any]) -> str:
    return ""


def test_listings_take_several_values_and_times(place: GatewayProcess, worker: ScriptedWorker) -> None:
    for number, agent in enumerate(["echo", "other", "echo"]):
        sessions.start(agent, chat_id=f"c{number}", tags=[f"t{number}", "all"])
    sessions.close("c0")
    now, hour = datetime.now(UTC), timedelta(hours=1)
    cases: list[tuple[sessions.ListFilters, list[str]]] = [
        ({"tag": ["t0", "t1"]}, ["c1", "c0"]),
        ({"agent": ["echo", "other"], "status": ["idle", "closed"]}, ["c2", "c1", "c0"]),
        ({"agent": echoing}, ["c2", "c0"]),
        ({"period": "1h", "tag": "all"}, ["c2", "c1", "c0"]),
        ({"from_": now + hour}, []),
        ({"from_": now - hour, "to": now + hour, "status": "closed"}, ["c0"]),
        ({"to": now - hour}, []),
    ]
    for filters, found in cases:
        assert sorted(each.chat_id for each in sessions.list(**filters)) == sorted(found), filters


def test_a_handle_sends_and_follows_over_turns_until_the_close(place: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)
    sessions.start("echo", chat_id="c1")
    handle = sessions.open("c1")
    assert handle.in_.send("one") == 0
    seen: list[str] = []
    for record in handle.out.read():
        if record.chunk and record.chunk["type"] == "text-delta":
            seen.append(record.chunk["delta"])
        match record.control, record.headers.get("session-in-event-id"):
            case "turn-complete", "0":
                assert handle.in_.send("two", metadata={"a": 1}) == 1
            case "turn-complete", "1":
                sessions.close("c1", "enough")
    assert "".join(seen) == "You said: oneYou said: two"
    assert (record.control, record.headers["session-closed-reason"]) == ("session-closed", "enough")


def test_a_server_shows_data_beside_an_answer(place: GatewayProcess, worker: ScriptedWorker) -> None:
    sessions.start("echo", chat_id="c1")
    handle = sessions.open("c1")
    handle.in_.send("hi")
    turn = worker.claim()
    handle.out.append({"type": "data-progress", "data": {"done": 1}, "transient": True})
    turn.commit(*say("ok"))
    records = handle.out.read()
    kinds: list[str] = []
    for record in records:
        kinds.append(record.chunk["type"] if record.chunk else str(record.control))
        if record.control == "turn-complete":
            break
    assert kinds[:2] == ["turn-start", "data-progress"]


def test_a_server_tells_the_model_what_no_user_said(place: GatewayProcess, worker: ScriptedWorker) -> None:
    session = sessions.start("echo", chat_id="c1")
    handle = sessions.open("c1")
    handle.in_.inject("Be brief.")
    handle.in_.inject([{"role": "user", "content": "It got late."}])
    told = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "It got late."}]
    found = worker.client.lrange(worker.keys.injected(session.id), 0, -1)
    assert [json.loads(each) for each in found] == told
    with pytest.raises(BadRequest, match="messages"):
        handle.in_.inject([{"content": "who says so?"}])
    with place.http(auth.create_public_token(scopes={"write": {"sessions": "c1"}})) as http:
        record = {"kind": "inject", "messages": "Be rude."}
        assert http.post("/realtime/v1/sessions/c1/in/append", json=record).status_code == 403


def test_a_view_of_your_own_starts_sessions(place: GatewayProcess, worker: ScriptedWorker) -> None:
    start_session = sessions.create_start_session_action("echo", token_ttl="10m", tags=["web"])
    given = start_session("c1", {"user_id": "ann"}, user="ann")
    assert (given["chatId"], given["isCached"]) == ("c1", False)
    assert start_session("c1")["isCached"] is True
    claims = jwt.decode(given["publicAccessToken"], SECRET, ["HS256"])
    assert claims["scopes"] == ["read:sessions:c1", "write:sessions:c1"]
    assert (claims["exp"] - claims["iat"], claims["sub"]) == (600, "ann")
    with place.http(given["publicAccessToken"]) as http:
        assert http.get("/api/v1/sessions/c1").json()["tags"] == ["web"]
        assert http.get("/realtime/v1/sessions/c1/in/records").status_code == 403
    with place.http(SECRET) as http:
        (record,) = http.get("/realtime/v1/sessions/c1/in/records").json()["records"]
    assert record["data"]["payload"] == {"chatId": "c1", "trigger": "preload", "metadata": {"user_id": "ann"}}


def test_asyncio_has_the_same_verbs(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    worker.serve(echo)

    async def talk() -> tuple[list[str], str]:
        async with AsyncSessions(gateway.url, secret_key=SECRET) as own:
            await own.start("echo", chat_id="c1", user="ann")
            await own.start("echo", chat_id="c2", user="ann")
            await own.update("c1", tags=["x"])
            handle = own.open("c2")
            await handle.in_.send("hi")
            text = ""
            async for record in handle.out.read():
                if record.control == "turn-complete":
                    break
                text += record.chunk["delta"] if record.chunk and record.chunk["type"] == "text-delta" else ""
            await own.close("c1")
            return [each.chat_id async for each in own.list(user="ann", limit=1)], text

    assert asyncio.run(talk()) == (["c2", "c1"], "You said: hi")


def test_several_gateways_are_named_one_by_one(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with Sessions(gateway.url, secret_key=SECRET) as own:
        assert own.start("echo", chat_id="c1").chat_id == "c1"


@pytest.mark.parametrize(
    ("scopes", "written"),
    [
        (
            {"read": {"sessions": "a"}, "write": {"sessions": ["a", "b"]}},
            "read:sessions:a write:sessions:a write:sessions:b",
        ),
        ({"read": {"sessions": True}, "write": {"tasks": False, "sessions": "a"}}, "read:sessions write:sessions:a"),
        ({"admin": True}, "admin"),
        (["read:sessions:a:out"], "read:sessions:a:out"),
        ("read:sessions:a write:tasks:b", "read:sessions:a write:tasks:b"),
    ],
)
def test_scopes_are_written_as_the_packages_write_them(scopes: Any, written: str) -> None:
    token = auth.create_public_token(scopes=scopes, expires_in="90s", user="ann", secret_key=SECRET)
    claims = jwt.decode(token, SECRET, ["HS256"])
    assert (" ".join(claims["scopes"]), claims["sub"], claims["exp"] - claims["iat"]) == (written, "ann", 90)


def test_a_token_of_ours_opens_what_it_names(place: GatewayProcess, worker: ScriptedWorker) -> None:
    sessions.start("echo", chat_id="c1")
    token = auth.create_watch_token("c1")
    with place.http(token) as http:
        assert http.get("/api/v1/sessions/c1").status_code == 200
        assert http.post("/realtime/v1/sessions/c1/in/append", json={"kind": "stop"}).status_code == 403


def test_a_token_to_start_chats_starts_them_and_opens_no_other(place: GatewayProcess, worker: ScriptedWorker) -> None:
    sessions.start("echo", chat_id="theirs", user="bob")
    token = auth.create_trigger_public_token("echo", expires_in="1h")
    assert jwt.decode(token, SECRET, ["HS256"])["scopes"] == ["write:tasks:echo"]
    with place.http(token) as http:
        body = {"type": "chat.agent", "taskIdentifier": "echo", "triggerConfig": {"basePayload": {}}}
        mine = http.post("/api/v1/sessions", json={**body, "externalId": "mine"})
        assert mine.status_code in (200, 201)
        assert http.post("/api/v1/sessions", json={**body, "externalId": "theirs"}).status_code in (403, 404)
        assert http.get("/api/v1/sessions/mine").status_code in (403, 404)
    with place.http(mine.json()["publicAccessToken"]) as http:
        assert http.get("/api/v1/sessions/mine").status_code == 200


def test_a_filter_that_there_is_not_lists_nothing(place: GatewayProcess, worker: ScriptedWorker) -> None:
    sessions.start("echo", chat_id="c1", tags=["user:ann"])
    assert [each.chat_id for each in sessions.list(type="chat.agent", tag="user:ann")] == ["c1"]
    assert list(sessions.list(type="other")) == []
    with pytest.raises(BadRequest, match="tagg: there is no such filter; there are agent, "):
        list(sessions.list(tagg="user:ann"))  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "scopes",
    [
        *({}, [], "", None, ["read"], ["fly:sessions:a"], ["read:rockets:a"]),
        *({"read": {"sessions": each}} for each in ([" "], None, 5, [None])),
        *({"read": "sessions"}, {"read": True}, {"read": None}),
    ],
)
def test_a_token_that_opens_nothing_is_not_made(scopes: Any) -> None:
    with pytest.raises(ConfigError):
        auth.create_public_token(scopes=scopes, secret_key=SECRET)


def test_without_a_key_the_mend_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("CHATAGENT_SECRET_KEY", raising=False)
    monkeypatch.setenv("CHATAGENT_DATA_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match="CHATAGENT_SECRET_KEY"):
        sessions.retrieve("c1")
    (tmp_path / "secret_key").write_text(SECRET)
    assert auth.create_public_token(scopes=["read:sessions"])


def test_a_handle_leaves_no_idle_connection_behind(place: GatewayProcess, worker: ScriptedWorker) -> None:
    sessions.start("echo", chat_id="c1")
    sessions.open("c1").in_.send("hi")
    own = psutil.Process().net_connections("tcp")
    assert [each for each in own if each.raddr and each.raddr.port == place.port and each.status == "ESTABLISHED"] == []


def test_nothing_is_shown_beside_an_answer_that_is_not_there(place: GatewayProcess, worker: ScriptedWorker) -> None:
    sessions.start("echo", chat_id="c1")
    with pytest.raises(Busy):
        sessions.open("c1").out.append({"type": "data-progress", "data": 1})


def test_a_session_takes_no_more_after_its_time(place: GatewayProcess, worker: ScriptedWorker) -> None:
    ends = datetime(2100, 1, 1, tzinfo=UTC)
    assert sessions.start("echo", chat_id="c1", expires_at=ends).expires_at == ends
    late = sessions.start("echo", chat_id="c2", expires_at=datetime(2000, 1, 1, tzinfo=UTC))
    assert (late.status, late.closed_at) == ("expired", None)
    with pytest.raises(Closed):
        sessions.start("echo", chat_id="c2")
