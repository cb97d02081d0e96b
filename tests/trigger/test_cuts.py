"""The connection of a published client breaks after every single record of a turn: nothing is lost or comes twice."""

from __future__ import annotations

import pytest

from tests.e2e.server import Server, canonical
from tests.long_turn import FORTY
from tests.trigger.conftest import Run

pytestmark = pytest.mark.e2e

#: Chunks of the turn, with its start and its finish.
CHUNKS = len(FORTY) + 2
#: Records of its log: those, and the turn's own start and end.
RECORDS = CHUNKS + 2


def test_the_turn_has_forty_chunks() -> None:
    assert CHUNKS == 40


def test_a_connection_cut_after_any_record_loses_and_doubles_nothing(run: Run, server: Server) -> None:
    _, results = run("cuts", "forty", records=RECORDS)
    assert sorted((each["way"], each["at"]) for each in results) == [
        (way, at) for way in ("page", "server") for at in range(RECORDS + 1)
    ]
    for each in results:
        where = f"{each['way']} cut after {each['at']}: {each['errors']}"
        assert each["cut"] is (each["at"] <= RECORDS), where
        assert each["errors"] == [], where
        stored = server.wait_idle(each["id"].replace("/", "%2F"))
        assert canonical([each["message"]]) == canonical(stored[1:]), where
        assert each["records"] == RECORDS, where
