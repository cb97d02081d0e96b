"""Folding, judged by what JavaScript servers store and browsers hold (ai 5.0.277, 6.0.326, 7.0.173)."""

from __future__ import annotations

from typing import Any

import pytest

from chatagent.errors import BadRequest, StreamError
from chatagent.ui import Fold, fold_message, validate_chunk
from tests.conformance.golden import pairs

Case = dict[str, Any]

_MAJORS = (5, 6, 7)
#: Where a browser holds something else than the fold of the chunks it accepts: in which generations, and why.
BROWSER_DIFFERENCES: dict[str, tuple[tuple[int, ...], str]] = {
    "empty stream": (_MAJORS, "there is no message before the first chunk"),
    "error chunk first": (_MAJORS, "there is no message before the first chunk"),
    "trailing start-step": (_MAJORS, "a step is shown when something in it is shown (reference §3.3)"),
    "regenerate": (_MAJORS, "the case's last message is the one that a new message replaces (§3.2)"),
    "resume persisted partial other id": (_MAJORS, "on a resume, another id means a new message (§4.5)"),
    "resume replay with streaming tool part": ((6, 7), "a replay begins with an empty message (§4.5)"),
    "resume continuation approval (replay default)": (_MAJORS, "what the replay does not tell is forgotten (§4.5)"),
    "resume continuation client tool result (replay default)": (_MAJORS, "what it does not tell is forgotten (§4.5)"),
}


def _cases(golden: str) -> list[Any]:
    joined = [(major, *pair) for major in _MAJORS for pair in pairs("reduce.cases", f"reduce.v{major}.{golden}")]
    return [pytest.param(*each, id=f"{each[0]}-{each[1]['name']}") for each in joined]


def _continued(case: Case) -> Case | None:
    messages = case.get("messages") or [None]
    last: Case | None = messages[-1]
    return last


def _named_as(expected: Case, message: Case, prefix: str) -> Case:
    """`message` under the id that the kit's counter gave, where neither side was told one."""
    return {**message, "id": expected["id"]} if expected["id"].startswith(prefix) else message


@pytest.mark.parametrize(("major", "case", "golden"), _cases("server"))
def test_a_message_is_what_a_javascript_server_stores(major: Any, case: Case, golden: Case) -> None:
    expected = golden["message"]
    message = fold_message(case["chunks"], _continued(case), major=major)
    assert _named_as(expected, message, "server-") == expected


@pytest.mark.parametrize(("major", "case", "golden"), _cases("chat"))
def test_a_message_is_what_a_browser_holds_of_the_chunks_that_it_accepts(major: Any, case: Case, golden: Case) -> None:
    message, failed = _as_a_browser(case, major)
    expected = golden["message"]
    same = expected is not None and _named_as(expected, message, "client-") == expected
    differing, _ = BROWSER_DIFFERENCES.get(case["name"], ((), ""))
    assert same == (major not in differing)
    if same:
        assert failed == bool(golden["errors"])


def _as_a_browser(case: Case, major: Any) -> tuple[Case, bool]:
    """The message when the stream ended, and whether it ended badly."""
    fold = Fold(_continued(case), major=major)
    for chunk in case["chunks"]:
        try:
            validate_chunk(chunk, major=major)
            fold.add(chunk)
        except (BadRequest, StreamError):
            return fold.message, True
        if chunk["type"] == "error":
            return fold.message, True
    return fold.message, False
