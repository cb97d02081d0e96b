"""The health report tells the truth, soon, and never piles up work."""

from __future__ import annotations

import threading
import time

import pytest

from chatagent.flask import health
from chatagent.flask.health import Health
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker


def test_it_is_well_when_every_check_is() -> None:
    report = Health({"a": lambda: None, "b": lambda: {"alive": 2}}).report()
    assert report["ok"] is True
    assert report["b"]["detail"] == {"alive": 2}


def test_an_error_is_named_but_not_told() -> None:
    def broken() -> None:
        raise RuntimeError("redis://:password@host")

    report = Health({"a": broken, "b": lambda: None}).report()
    assert (report["ok"], report["a"]["ok"], report["b"]["ok"]) == (False, False, True)
    assert "password" not in str(report)


def test_a_check_that_hangs_is_reported_and_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LIMIT_S", 0.1)
    monkeypatch.setattr(health, "FRESH_S", 0.0)
    started: list[int] = []
    release = threading.Event()

    def hang() -> None:
        started.append(1)
        release.wait(60)

    checks = Health({"slow": hang})
    for _ in range(3):
        assert checks.report()["slow"]["ok"] is False
    assert len(started) == 1
    release.set()


def test_many_askers_cost_one_check() -> None:
    runs: list[int] = []
    checks = Health({"a": lambda: runs.append(1)})
    askers = [threading.Thread(target=checks.report) for _ in range(20)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(runs) == 1


def test_a_gateway_without_a_live_worker_is_not_well(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http() as http:
        worker.client.zadd(worker.keys.workers, {"scripted": 1})
        deadline = time.monotonic() + 10
        while (response := http.get("/healthz")).status_code == 200 and time.monotonic() < deadline:
            pass
        assert response.status_code == 503
        assert response.json()["workers"]["ok"] is False
        assert response.json()["redis"]["ok"] is True
        worker.announce("echo")
        while (response := http.get("/healthz")).status_code == 503 and time.monotonic() < deadline:
            pass
        assert response.json()["workers"]["detail"] == {"alive": 1}
