"""The one subscriber connection of a process, against a real Redis that is cut and restarted."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import redis

from chatagent.errors import StoreDown
from chatagent.record import Bell
from chatagent.redis.subscriber import Subscriber
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, say
from tests.flask.talk import socket, until
from tests.redis_server import RedisServer


@dataclass
class Ears:
    """A reader that remembers."""

    bells: list[Bell] = field(default_factory=list)
    losses: int = 0

    def ring(self, bell: Bell) -> None:
        self.bells.append(bell)

    def lost(self) -> None:
        self.losses += 1

    def heard(self) -> bool:
        return bool(self.bells)


@pytest.fixture
def server(own_redis: RedisServer) -> RedisServer:
    return own_redis


@pytest.fixture
def subscriber(server: RedisServer) -> Iterator[Subscriber]:
    subscriber = Subscriber(server.url)
    yield subscriber
    subscriber.close()


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    client = server.client()
    yield client
    client.close()


def all_lost(ears: list[Ears], times: int) -> bool:
    return all(reader.losses == times for reader in ears)


def subscribers(client: redis.Redis, *channels: str) -> list[int]:
    return [count for _, count in client.pubsub_numsub(*channels)]


def test_what_is_published_after_subscribe_returned_is_heard(subscriber: Subscriber, client: redis.Redis) -> None:
    for at in range(200):
        ears = Ears()
        leave = subscriber.subscribe(f"c{at}", ears)
        assert client.publish(f"c{at}", b"5 2\na\nb") == 1
        until(ears.heard)
        assert ears.bells == [Bell(5, 2, [b"a", b"b"])]
        assert ears.losses == 0
        leave()


def test_making_one_connects_to_nothing() -> None:
    threads = threading.active_count()
    Subscriber("unix:///nowhere.sock")
    assert threading.active_count() == threads


def test_many_readers_share_one_subscription(subscriber: Subscriber, client: redis.Redis) -> None:
    ears = [Ears() for _ in range(10)]
    leaves = [subscriber.subscribe("c", reader) for reader in ears]
    assert subscribers(client, "c") == [1]
    client.publish("c", b"0 1\nx")
    until(lambda: all(len(reader.bells) == 1 for reader in ears))
    for leave in leaves[1:]:
        leave()
    assert subscribers(client, "c") == [1]
    leaves[0]()
    until(lambda: subscribers(client, "c") == [0], "the unsubscribe")
    assert subscriber.channels == 0


def test_leaving_and_coming_back_at_once_loses_nothing(subscriber: Subscriber, client: redis.Redis) -> None:
    keeper = Ears()
    subscriber.subscribe("other", keeper)
    for _ in range(100):
        ears = Ears()
        subscriber.subscribe("c", ears)()
        leave = subscriber.subscribe("c", ears)
        assert client.publish("c", b"0 1\nx") == 1
        until(ears.heard)
        leave()


def test_a_cut_connection_is_made_again_and_readers_are_told(subscriber: Subscriber, client: redis.Redis) -> None:
    ears = [Ears(), Ears()]
    for at, reader in enumerate(ears):
        subscriber.subscribe(f"c{at}", reader)
    for round_ in range(1, 8):
        client.client_kill_filter(_type="pubsub")
        until(functools.partial(all_lost, ears, round_), "the readers to be told")
        assert subscribers(client, "c0", "c1") == [1, 1]
    client.publish("c1", b"0 1\nx")
    until(lambda: ears[1].bells)


def test_it_survives_a_restart_of_redis(subscriber: Subscriber, server: RedisServer, client: redis.Redis) -> None:
    ears = Ears()
    subscriber.subscribe("c", ears)
    server.stop()
    server.start()
    until(lambda: ears.losses >= 1, "the readers to be told")
    client.publish("c", b"0 1\nx")
    until(lambda: ears.bells)


def test_a_redis_that_does_not_answer_is_an_error_in_time(
    subscriber: Subscriber, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatagent.redis.subscriber.COMMAND_TIMEOUT_S", 0.2)
    server.stop()
    with pytest.raises(StoreDown):
        subscriber.subscribe("c", Ears())
    assert subscriber.channels == 0
    monkeypatch.undo()
    server.start()
    subscriber.subscribe("c", Ears())


def test_a_connection_that_falls_silent_is_given_up(server: RedisServer, client: redis.Redis) -> None:
    subscriber = Subscriber(server.url, ping_s=0.1)
    ears = Ears()
    subscriber.subscribe("c", ears)
    client.client_pause(600)
    until(lambda: ears.losses >= 1, "the readers to be told")
    subscriber.close()


def test_a_bell_that_cannot_be_read_harms_nobody(subscriber: Subscriber, client: redis.Redis) -> None:
    ears = Ears()
    subscriber.subscribe("c", ears)
    client.publish("c", b"garbage")
    until(lambda: ears.losses == 1, "the readers to be told")
    client.publish("c", b"0 1\nx")
    until(lambda: ears.bells)


def test_an_answer_goes_on_when_the_connections_of_redis_are_cut(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    said = say(" ".join(f"w{at}" for at in range(60)))
    with socket(gateway) as ws:
        ws.send("r1", "c1", "hi")
        turn = worker.claim()
        for at, chunk in enumerate(said[:-1]):
            if at % 10 == 5:
                worker.client.client_kill_filter(_type="pubsub")
                worker.client.client_kill_filter(_type="normal", skipme=True)
            turn.append(chunk)
        turn.commit(said[-1])
        assert ws.answer("r1") == said
