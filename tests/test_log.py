"""Lines for people and machines; what is bound is on them, what is secret is not."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from chatagent import log

logger = logging.getLogger("chatagent.tests.log")


@dataclass
class Wanted:
    log_level: str = "INFO"
    log_json: bool = True
    log_color: str = "never"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def written(**wanted: Any) -> io.StringIO:
    """A stream that the log goes to."""
    stream = io.StringIO()
    log.configure(Wanted(**wanted), stream=stream)
    return stream


def last(stream: io.StringIO) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return entry


def test_a_json_line_carries_what_is_bound_and_what_is_extra() -> None:
    stream = written()
    with log.bind(session="session_1", turn=3):
        logger.info("turn %s", "ended", extra={"outcome": "completed"})
    entry = last(stream)
    assert entry["message"] == "turn ended"
    assert (entry["session"], entry["turn"], entry["outcome"]) == ("session_1", 3, "completed")
    assert (entry["level"], entry["logger"]) == ("INFO", "chatagent.tests.log")


def test_nothing_stays_bound_after_the_block() -> None:
    stream = written()
    with log.bind(session="a"), log.bind(turn=1):
        pass
    logger.info("idle")
    assert "session" not in last(stream) and "turn" not in last(stream)


def test_tasks_that_run_at_once_keep_their_own_fields() -> None:
    stream = written()

    async def turn(name: str) -> None:
        with log.bind(session=name):
            await asyncio.sleep(0)
            logger.info("spoke", extra={"expected": name})

    async def main() -> None:
        await asyncio.gather(*(turn(f"s{at}") for at in range(20)))

    asyncio.run(main())
    entries = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(entries) == 20
    assert all(entry["session"] == entry["expected"] for entry in entries)


def test_a_human_line_is_one_line_with_fields_at_its_end() -> None:
    stream = written(log_json=False)
    with log.bind(session="session_1"):
        logger.warning("lease lost", extra={"epoch": 2})
    assert stream.getvalue().rstrip().endswith("WARNING chatagent.tests.log lease lost  session=session_1 epoch=2")
    assert "\x1b" not in stream.getvalue()


def test_colours_come_when_asked_for() -> None:
    stream = written(log_json=False, log_color="always")
    logger.error("broken")
    assert "\x1b[31mERROR" in stream.getvalue()


def test_an_error_is_logged_with_its_traceback() -> None:
    stream = written()
    try:
        raise ValueError("no such tool")
    except ValueError:
        logger.exception("tool failed")
    assert "ValueError: no such tool" in last(stream)["error"]
    assert "Traceback" in last(stream)["error"]


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer abcdefgh12345678.SECRET",
        "GET /api/chat/ws?chat=1&token=SECRETabc HTTP/1.1",
        "key sk-proj-SECRETSECRET1234 refused",
        "secret_key=SECRETvalue",
        '{"api_key": "SECRETvalue"}',
        "token eyJhbGciOiJIUzI1NiJ9.SECRET.SECRET expired",
        "redis://user:SECRET@10.0.0.1:6379/0 refused",
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_never_reach_the_log(line: str, as_json: bool) -> None:
    stream = written(log_json=as_json)
    logger.info("seen %s", line, extra={"detail": {"deep": [line]}})
    assert "SECRET" not in stream.getvalue()
    assert "***" in stream.getvalue()


@pytest.mark.parametrize(
    "line", ["the tokens=15 of the reply", "task-risk-assessment-done", "https://host/a?b=c", "key: word"]
)
def test_ordinary_text_stays_as_it_is(line: str) -> None:
    assert log.redact(line) == line


def test_chatty_libraries_are_quiet_at_info() -> None:
    stream = written()
    logging.getLogger("httpx").info("HTTP Request: GET /")
    assert stream.getvalue() == ""
