"""Custom loops, children and limits on real Celery workers."""

from __future__ import annotations

from pathlib import Path

from tests.celery.conftest import Floor
from tests.stack import wait_until

AGENTS = Path(__file__).parent / "agents"


def test_a_loop_that_waits_holds_no_slot_and_keeps_its_variables(floor: Floor) -> None:
    with floor.stack.worker(AGENTS / "counting.py", "--concurrency", "1"):
        for turn in (1, 2, 3):
            for chat in ("a", "b", "c"):
                session = floor.say("counting", chat)
                assert floor.answered(session, turn)[-1].split()[0] == str(turn)


def test_after_a_crash_the_next_message_starts_the_loop_anew_with_the_history(floor: Floor) -> None:
    with floor.stack.worker(AGENTS / "counting.py") as first:
        session = floor.say("counting", "a")
        count, pid = floor.answered(session, 1)[-1].split()
        assert count == "1"
        first.kill()
        with floor.stack.worker(AGENTS / "counting.py"):
            floor.say("counting", "a")
            texts = floor.answered(session, 2)
            count, other = texts[-1].split()
            assert (count, len(texts)) == ("1", 4)
            assert other != pid


def test_a_deploy_moves_a_loop_to_another_worker(floor: Floor) -> None:
    with floor.stack.worker(AGENTS / "counting.py") as first:
        session = floor.say("counting", "a")
        floor.answered(session, 1)
        assert first.terminate() == 0
    with floor.stack.worker(AGENTS / "counting.py"):
        floor.say("counting", "a")
        assert floor.answered(session, 2)[-1].split()[0] == "1"


def test_a_hundred_parents_that_wait_for_children_on_a_pool_of_ten_do_not_deadlock(floor: Floor) -> None:
    with floor.stack.worker(AGENTS / "family.py", "--concurrency", "10"):
        sessions = [floor.say("parent", f"c{number}", str(number)) for number in range(100)]
        wait_until(lambda: all(len(floor.texts(each)) == 2 for each in sessions), "a hundred answers", timeout_s=120)
        assert [floor.texts(each)[1] for each in sessions] == [str(number * 2) for number in range(100)]


def test_a_concurrency_limit_holds_over_two_workers(floor: Floor, tmp_path: Path) -> None:
    running = tmp_path / "running"
    floor.stack.env["RUNNING"] = str(running)
    with floor.stack.worker(AGENTS / "limited.py"), floor.stack.worker(AGENTS / "limited.py"):
        sessions = [floor.say("limited", f"c{number}") for number in range(12)]
        wait_until(lambda: all(len(floor.texts(each)) == 2 for each in sessions), "all answers", timeout_s=60)
    now = most = 0
    for step in running.read_text():
        now += 1 if step == "+" else -1
        most = max(most, now)
    assert (most, now) == (2, 0)
