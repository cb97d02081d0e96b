"""The deployable gateway: its settings, its size, its health, and the tasks that it sends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from chatagent.cli.wsgi import secret_key
from chatagent.errors import ConfigError
from chatagent.flask import Mounted
from chatagent.settings import Settings
from tests.flask.scripted_worker import ScriptedWorker
from web.app import create_app

ROOT = Path(__file__).parents[2]
SECRET = "0123456789012345678901234567890123456789"


@pytest.fixture
def app(redis_url: str) -> Flask:
    return create_app(settings(redis_url=redis_url))


def settings(**values: Any) -> Settings:
    return Settings(**{"secret_key": SECRET, **values})


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_message_becomes_a_celery_task_that_names_agent_and_session_alone(app: Flask, redis_url: str) -> None:
    worker = ScriptedWorker(redis_url)
    worker.announce("support")
    body = {"externalId": "c1", "taskIdentifier": "support"}
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "a secret of the user"}]}
    payload = {"basePayload": {"message": message}}
    answer = app.test_client().post(
        "/api/v1/sessions", json={**body, "triggerConfig": payload}, headers={"Authorization": f"Bearer {SECRET}"}
    )
    assert answer.status_code == 201
    session_id = answer.get_json()["id"]
    raw = worker.client.lpop("chatagent:mq:turns")
    assert isinstance(raw, bytes)
    task = json.loads(raw)
    assert task["headers"]["task"] == "support"
    assert task["headers"]["argsrepr"] == f"('{session_id}',)"
    assert b"secret of the user" not in raw
    worker.close()


def test_a_broker_that_is_away_costs_no_message(redis_url: str) -> None:
    app = create_app(settings(redis_url=redis_url, broker_url="redis://127.0.0.1:1/0"))
    worker = ScriptedWorker(redis_url)
    worker.announce("support")
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
    payload = {"basePayload": {"message": message}}
    answer = app.test_client().post(
        "/api/v1/sessions",
        json={"externalId": "c1", "taskIdentifier": "support", "triggerConfig": payload},
        headers={"Authorization": f"Bearer {SECRET}"},
    )
    assert answer.status_code == 201
    assert worker.client.zscore(worker.keys.queued, answer.get_json()["id"]) is not None
    assert worker.claim(answer.get_json()["id"]).text == "hi"
    worker.close()


def test_health_asks_redis_the_broker_and_the_workers(app: Flask, redis_url: str) -> None:
    client = app.test_client()
    unwell = client.get("/healthz")
    assert unwell.status_code == 503
    report = unwell.get_json()
    assert (report["redis"]["ok"], report["broker"]["ok"], report["workers"]["ok"]) == (True, True, False)


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"])
def test_health_tells_of_a_broker_that_is_away(
    redis_url: str, broker: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatagent.cli.wsgi.configure", lambda settings: None)  # caplog hears of what goes on
    app = create_app(settings(redis_url=redis_url, broker_url=broker))
    report = app.test_client().get("/healthz").get_json()
    assert (report["redis"]["ok"], report["broker"]["ok"]) == (True, False)
    told = {record.getMessage(): record.exc_info for record in caplog.records if "unhealthy" in record.msg}
    assert told == {"unhealthy: the broker does not answer": None, "unhealthy: no worker is alive": None}


def test_settings_reach_the_gateway(redis_url: str) -> None:
    app = create_app(
        settings(
            redis_url=redis_url,
            prefix="mine",
            default_agent="support",
            allowed_origins="https://a.example,https://b.example",
            max_body_mb=0.5,
            max_frame_kb=64,
            token_ttl_s=60,
            dev=True,
            ui=False,
            title="Help",
        )
    )
    mounted = app.extensions["chatagent"]
    assert isinstance(mounted, Mounted)
    options = mounted.gateway.options
    assert (options.default_agent, options.title, options.dev, options.ui) == ("support", "Help", True, False)
    assert options.allowed_origins == ("https://a.example", "https://b.example")
    assert (options.max_body_bytes, options.max_frame_bytes, options.token_ttl_s) == (524_288, 65_536, 60)
    assert mounted.gateway.backend.keys.prefix == "mine"


def test_without_a_secret_it_says_how_to_make_one() -> None:
    with pytest.raises(ConfigError, match="CHATAGENT_SECRET_KEY"):
        secret_key(Settings(secret_key=None, dev=False))
    assert len(secret_key(Settings(secret_key=None, dev=True))) >= 32


def test_making_the_app_connects_to_nothing() -> None:
    create_app(settings(redis_url="redis://127.0.0.1:1/0"))


def test_the_gateway_imports_neither_celery_nor_litellm() -> None:
    heavy = ("celery", "kombu", "litellm", "openai", "httpx", "chatagent.llm", "chatagent.agent")
    loaded = python(f"import sys, chatagent.flask; print([name for name in {heavy} if name in sys.modules])")
    assert loaded.strip() == "[]"


def test_the_deployed_app_does_not_import_litellm() -> None:
    assert python("import sys, web.app; print('litellm' in sys.modules)").strip() == "False"


def test_importing_starts_nothing() -> None:
    threads = python("import threading, chatagent.flask, web.app; print(threading.active_count())")
    assert threads.strip() == "1"


def test_gunicorns_settings_import_nothing_of_the_app_before_gevent_patches() -> None:
    code = (
        "import sys, runpy; from gunicorn.util import load_class; "
        "told = runpy.run_path('web/gunicorn.conf.py'); load_class(told['worker_class']); "
        "ours = [name for name in sys.modules if name.startswith(('chatagent.', 'flask', 'redis', 'web.'))]; "
        "print(sorted(ours))"
    )
    assert python(code).strip() == str(
        ["chatagent.cli", "chatagent.cli.gunicorn_conf", "chatagent.cli.gunicorn_worker"]
    )


def test_gunicorns_settings_of_the_deployment_are_those_of_the_library() -> None:
    code = (
        "import runpy; from chatagent.cli import gunicorn_conf as ours; told = runpy.run_path('web/gunicorn.conf.py'); "
        "print(all(told[name] == value for name, value in vars(ours).items() if not name.startswith('_')))"
    )
    assert python(code).strip() == "True"
