"""Who waits for a message that never has a turn of its own: a Trigger.dev client must not wait for ever.

Its rule: an answer ends at a turn-complete whose `session-in-event-id` is the seq of its message or higher.
"""

from __future__ import annotations

import httpx

from tests.flask.gateway_process import GatewayProcess
from tests.flask.s2_reader import control_of, header, subscribe
from tests.flask.scripted_worker import ScriptedWorker, Turn, say
from tests.flask.sessions.test_realtime import append, message, start


def ends(http: httpx.Client, count: int) -> list[int]:
    """The `session-in-event-id` of the first turn-completes."""
    found: list[int] = []
    with subscribe(http, "c1", Last_Event_ID="-1", Timeout_Seconds="5") as reader:
        for record in reader.records():
            if control_of(record) == "turn-complete":
                found.append(int(header(record, "session-in-event-id") or -1))
            if len(found) == count:
                break
    return found


def cancel(http: httpx.Client, name: str) -> None:
    assert http.delete(f"/api/chat/c1/queue/{name}").status_code == 200


def answer(turn: Turn, *, consumed: tuple[int, ...] = ()) -> None:
    turn.append(*say("done", message_id=f"a{turn.record.seq}")[:-1])
    turn.commit({"type": "finish"}, consumed=consumed)


def test_a_cancelled_message_that_waits_alone_ends_its_wait(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        append(http, message("one"))
        cancel(http, "u1")
        assert ends(http, 1) == [0]
        append(http, message("two", "u2"))
        answer(worker.claim())
        assert ends(http, 2) == [0, 1]


def test_a_message_cancelled_behind_a_running_turn_ends_with_that_turn(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        append(http, message("one"))
        turn = worker.claim()
        turn.append(*say("done")[:3])
        append(http, message("two", "u2"))
        append(http, message("three", "u3"))
        cancel(http, "u2")
        turn.commit({"type": "finish"})
        answer(worker.claim())
        assert ends(http, 2) == [1, 2]


def test_a_message_cancelled_behind_one_that_waits_ends_nothing_early(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        append(http, message("one"))
        append(http, message("two", "u2"))
        cancel(http, "u2")
        answer(worker.claim())
        assert ends(http, 1) == [1]


def test_a_steered_message_ends_with_the_turn_that_took_it_in(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        append(http, message("one"))
        turn = worker.claim()
        append(http, message("two", "u2", busy="steer"))
        answer(turn, consumed=(1,))
        assert ends(http, 1) == [1]


def test_a_message_steered_past_one_that_waits_ends_when_both_are_done(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    start(gateway)
    with gateway.http(gateway.token()) as http:
        append(http, message("one"))
        turn = worker.claim()
        append(http, message("two", "u2"))
        append(http, message("three", "u3", busy="steer"))
        answer(turn, consumed=(2,))
        answer(worker.claim())
        assert ends(http, 2) == [0, 2]
