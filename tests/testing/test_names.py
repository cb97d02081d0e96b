"""What `chatagent.testing` hands out."""

from __future__ import annotations

import pytest

import chatagent.testing
from chatagent.testing import TestChat
from chatagent.testing.stage import Stage


def test_every_name_is_there_and_nothing_else_is_public() -> None:
    names = chatagent.testing.__all__
    assert sorted(names) == list(names)
    assert set(names) == set(vars(chatagent.testing)["_HOMES"])
    for name in names:
        assert getattr(chatagent.testing, name) is not None
    assert set(names) <= set(dir(chatagent.testing))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = chatagent.testing.nothing


def test_pytest_does_not_take_it_for_a_test() -> None:
    assert not TestChat.__test__


def test_a_stage_may_be_closed_twice_and_used_again() -> None:
    stage = Stage()
    first = stage.redis_url
    assert stage.loop.is_running()
    stage.close()
    stage.close()
    assert stage.redis_url != first
    assert stage.loop.is_running()
    stage.close()
