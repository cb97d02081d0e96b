"""The app of a test's gateway process. Its tasks go to a list in Redis, where the scripted worker finds them."""

from __future__ import annotations

import json
import os

from flask import Flask, Request

from chatagent.flask import Identity, Options, mount
from chatagent.log import configure
from chatagent.redis import RedisBackend
from chatagent.redis.connection import connect
from chatagent.settings import Settings
from tests.flask.scripted_worker import TASKS

SECRET = "test-secret-0123456789-0123456789-0123456789"


def identify(request: Request) -> Identity | None:
    """The host app knows its user by a header."""
    user = request.headers.get("X-Test-User")
    return Identity(user) if user else None


def create_app() -> Flask:
    """A gateway set up by the environment: TEST_REDIS_URL, TEST_OPTIONS (JSON)."""
    configure(Settings(log_level="INFO"))
    backend = RedisBackend(os.environ["TEST_REDIS_URL"])
    tasks = connect(backend.url)
    app = Flask(__name__)

    def dispatch(agent: str, session_id: str, queue: str) -> None:
        tasks.rpush(TASKS, session_id)

    given = json.loads(os.environ.get("TEST_OPTIONS", "{}"))
    mount(
        app,
        backend=backend,
        dispatch=dispatch,
        secret_key=SECRET,
        identify=identify,
        url_prefix=os.environ.get("TEST_PREFIX", ""),
        options=Options(**given),
    )
    return app
