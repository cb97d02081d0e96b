"""The stack that other tests stand on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Page

from tests.conftest import missing
from tests.node import Node
from tests.redis_server import RedisServer
from tests.stack import Process


def test_a_test_gets_an_empty_redis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "over")


def test_the_next_test_gets_an_empty_redis_again(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("left") is None


def test_data_survives_a_stop_and_a_start(own_redis: RedisServer) -> None:
    with own_redis.client() as client:
        client.set("kept", "yes")
    own_redis.stop()
    own_redis.start()
    with own_redis.client() as client:
        assert client.get("kept") == b"yes"


def test_a_killed_server_starts_again(own_redis: RedisServer) -> None:
    first = own_redis.pid
    own_redis.kill()
    assert own_redis.pid is None
    own_redis.start()
    assert own_redis.pid not in (None, first)


def test_node_runs_a_script(node: Node, tmp_path: Path) -> None:
    script = tmp_path / "hello.mjs"
    script.write_text("console.log(`node ${process.versions.node} says ${process.argv[2]}`)")
    assert node.run(script, "hello").strip().endswith("says hello")


def test_a_failing_script_fails_its_test_with_its_errors(node: Node, tmp_path: Path) -> None:
    script = tmp_path / "broken.mjs"
    script.write_text("throw new Error('out of order')")
    with pytest.raises(AssertionError, match="out of order"):
        node.run(script)


@pytest.mark.e2e
def test_the_browser_opens_a_page(page: Page) -> None:
    page.set_content("<h1>hello</h1>")
    assert page.text_content("h1") == "hello"


def test_what_is_missing_fails_on_ci_and_skips_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="abacus is missing"):
        missing("abacus")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="abacus is missing"):
        missing("abacus")


def test_a_process_that_ends_early_is_told_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no way'); raise SystemExit(3)"]
    process = Process(command, env={}, cwd=tmp_path, output=tmp_path / "log")
    with pytest.raises(AssertionError, match=r"ended with 3 before it worked\nno way"):
        process.wait_for(lambda: False, "it worked")
    process.close()
