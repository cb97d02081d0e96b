"""What a stranger tries: odd ids and sizes, closing and stopping in the middle, watchers, tokens and cursors that end.

All scenarios of a release run at once in one process: see `odd.mjs`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.server import Server
from tests.node import Node
from tests.trigger.conftest import RELEASES, runner

pytestmark = pytest.mark.e2e

#: What it has to find, by scenario.
WANTED: dict[str, Any] = {
    "oddId": {
        "texts": ["two", "two"],
        "other": ["three", "three"],
        "found": [True],
        "retrieved": True,
        "closed": "ende ü",
        "errors": [],
    },
    "metadata": {"same": True, "kept": 2, "errors": []},
    "large": {"refused": [True], "same": True, "lengths": [1024 * 1024 - 400] * 2 + [3, 3], "errors": []},
    # From the start, from a cursor, and from the middle of a turn, which is told whole.
    "watchers": {
        "early": "onebefore afterthreebefore after",
        "late": "before afterthreebefore after",
        "middle": "before after",
        "errors": [],
    },
    # The answer that is being written when a chat is closed is written to its end; who reads it leaves at once.
    "closedInMid": {"refused": 1, "retrieved": "enough", "text": "before", "stored": ["before after"]},
    "stopAndSend": {
        "texts": ["before", "next", "next", "last", "last"],
        "stored": ["before", "next", "next", "last", "last"],
        "errors": [],
    },
    "serverTools": {
        "told": [["wait_for"], ["it is there"], True],
        "asked": [["ask_place"], 0],
        "answered": ["finish", 4, [None, "output-available", None, "done"]],
    },
    "expiredInWatch": {"asked": 1, "seen": "after all", "errors": []},
    # The client itself writes `out` to S2 alone.
    "sideChannel": {
        "frames": [{"step": 1}, {"step": 2}],
        "got": [{"paused": True}],
        "idle": None,
        "forged": 403,
        "written": 422,
    },
    # A cursor past the end of the log shows nothing old; one that is a turn late shows that turn.
    "staleCursor": {"results": [[8, True], [9, True]], "errors": []},
    "queueAndPromote": {"injected": 1, "asked": "second", "left": 0, "stored": 4, "errors": []},
}
#: What the release makes of it before 4.6: it knows no closed chats, and reads the rest of a stopped answer.
EARLY: dict[str, Any] = {
    "closedInMid": {**WANTED["closedInMid"], "text": "before after"},
    "stopAndSend": {"stored": WANTED["stopAndSend"]["stored"]},
}


@pytest.fixture(scope="module", params=RELEASES)
def odd(
    request: pytest.FixtureRequest, clients: Node, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What one release saw, by scenario."""
    _, seen = runner(clients, server, tmp_path_factory.mktemp("odd"), request.param)("odd")
    return {"sdk": request.param, **seen}


@pytest.mark.parametrize("scenario", WANTED)
def test_what_a_stranger_tries_works(odd: dict[str, Any], scenario: str) -> None:
    wanted = WANTED[scenario] if odd["sdk"] == RELEASES[0] else EARLY.get(scenario, WANTED[scenario])
    assert {name: value for name, value in odd[scenario].items() if name in wanted or name == "failed"} == wanted
