"""Redis goes away while people chat, and comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.flask.conftest import NewGateway
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, echo, say
from tests.flask.talk import body, chunks_of, events, socket, text_of, until
from tests.redis_server import RedisServer


@pytest.fixture
def gateway(own_redis: RedisServer, new_gateway: NewGateway) -> GatewayProcess:
    return new_gateway(redis_url=own_redis.url)


@pytest.fixture
def worker(own_redis: RedisServer) -> Iterator[ScriptedWorker]:
    worker = ScriptedWorker(own_redis.url)
    worker.announce("echo")
    yield worker
    worker.close()


def test_an_answer_goes_on_after_a_restart_of_redis(
    gateway: GatewayProcess, worker: ScriptedWorker, own_redis: RedisServer
) -> None:
    said = say(" ".join(f"w{at}" for at in range(20)))
    with socket(gateway) as ws, gateway.http(gateway.token()) as http:
        ws.send("r1", "c1", "hi")
        turn = worker.claim()
        turn.append(*said[:5])
        with http.stream("GET", "/api/chat/c1/stream") as response:
            stream = events(response)
            next(stream)
            own_redis.stop()
            own_redis.start()
            turn.append(*said[5:-1])
            turn.commit(said[-1])
            assert ws.answer("r1") == said
            assert len([event for event in stream if not event.startswith(":")]) == len(said) + 1
        worker.serve(echo)
        ws.send("r2", "c1", "again", "u2")
        assert text_of(ws.answer("r2")) == "You said: again"


def test_without_redis_every_call_says_try_again(
    gateway: GatewayProcess, worker: ScriptedWorker, own_redis: RedisServer
) -> None:
    with gateway.http(gateway.token()) as http, socket(gateway) as ws:
        own_redis.stop()
        for method, path in (("POST", "/api/chat"), ("GET", "/api/v1/sessions"), ("GET", "/api/chat/c1/stream")):
            response = http.request(method, path, json=body("c1", "hi"))
            assert response.status_code == 503, response.text
            assert int(response.headers["Retry-After"]) >= 1
            assert response.json()["code"] == "unavailable"
        ws.send("r1", "c1", "hi")
        assert ws.get()["code"] == "unavailable"
        unwell = http.get("/healthz")
        assert unwell.status_code == 503
        assert unwell.json()["redis"]["ok"] is False
        own_redis.start()
        worker.announce("echo")
        worker.serve(echo)
        until(lambda: http.get("/healthz").status_code == 200, "health")
        assert text_of(chunks_of(http.post("/api/chat", json=body("c1", "hi")))) == "You said: hi"


def test_a_reader_is_told_when_redis_lost_what_it_had_read(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with socket(gateway) as ws:
        ws.send("r1", "c1", "hi")
        turn = worker.claim()
        turn.append(*say("a b c d e f")[:8])
        while ws.get().get("sequence") != 7:
            pass
        # What a killed Redis with a lazy append-only file comes back as
        keys = worker.keys
        worker.client.xtrim(keys.outbox(turn.session_id), maxlen=0)
        worker.client.hset(keys.session(turn.session_id), "out_seq", 2)
        worker.client.client_kill_filter(_type="pubsub")
        error = ws.get()
    assert error["type"] == "error"
    assert "reload" in error["errorText"]
