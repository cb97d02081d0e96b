"""The page and what it asks before it has a token."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from chatagent.flask import Identity, Options, mount, page
from chatagent.redis import RedisBackend
from tests.flask.conftest import NewGateway
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker

NOWHERE = "redis://127.0.0.1:1/0"


def client(identity: Identity | None = None, **options: object) -> FlaskClient:
    """A client of an app that needs no Redis for what is asked here."""
    app = Flask(__name__)
    mount(
        app,
        backend=RedisBackend(NOWHERE),
        dispatch=lambda agent, session_id, queue: None,
        secret_key=SECRET,
        identify=lambda request: identity,
        options=Options(**options),  # type: ignore[arg-type]
    )
    return app.test_client()


def test_before_it_is_built_it_says_how_to(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setattr(page, "STATIC", tmp_path)
    answer = client().get("/")
    assert answer.status_code == 200
    assert b"npm run build" in answer.data


def test_a_built_page_is_served(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("static")
    (folder / "index.html").write_text("<title>page</title>")
    (folder / "assets").mkdir()
    (folder / "assets" / "app-1a2b.js").write_text("run()")
    monkeypatch.setattr(page, "STATIC", folder)
    with client() as browser:
        index, script = browser.get("/"), browser.get("/assets/app-1a2b.js")
        outside = browser.get("/../gateway.py")
        missing = browser.get("/assets/other.js")
    assert (index.data, index.headers["Cache-Control"]) == (b"<title>page</title>", "no-cache")
    assert "immutable" in script.headers["Cache-Control"]
    assert (outside.status_code, missing.status_code) == (404, 404)
    for answer in (index, script, missing):
        answer.close()


def test_the_page_can_be_left_out() -> None:
    assert client(ui=False).get("/").status_code == 404


def test_the_page_learns_whether_it_needs_a_token() -> None:
    stranger = client(title="Help", default_agent="support").get("/api/config").get_json()
    known = client(Identity("ann")).get("/api/config").get_json()
    assert (stranger["auth"], known["auth"]) == ("token", "none")
    assert (stranger["title"], stranger["default_agent"], stranger["ws"]) == ("Help", "support", "api/chat/ws")
    assert stranger["version"]


@pytest.mark.parametrize(
    ("dev", "peer", "headers", "status"),
    [
        (True, "127.0.0.1", {}, 200),
        (True, "::1", {"Host": "[::1]:8000"}, 200),
        (True, "127.0.0.1", {"Host": "127.0.0.1:8000"}, 200),
        (False, "127.0.0.1", {}, 403),
        (True, "10.0.0.9", {}, 403),
        (True, "127.0.0.1", {"Host": "evil.example"}, 403),
        (True, "127.0.0.1", {"X-Forwarded-For": "10.0.0.9"}, 403),
        (True, "127.0.0.1", {"Origin": "https://evil.example"}, 403),
    ],
)
def test_a_token_is_minted_in_development_on_this_machine_alone(
    dev: bool, peer: str, headers: dict[str, str], status: int
) -> None:
    answer = client(dev=dev).post(
        "/api/playground/token", headers={"Host": "localhost:8000", **headers}, environ_overrides={"REMOTE_ADDR": peer}
    )
    assert answer.status_code == status
    assert ("token" in (answer.get_json() or {})) == (status == 200)


def test_the_playgrounds_token_works(new_gateway: NewGateway, worker: ScriptedWorker) -> None:
    gateway = new_gateway(dev=True)
    with gateway.http() as http:
        token = http.post("/api/playground/token").json()["token"]
    with gateway.http(token) as http:
        agents = http.get("/api/agents").json()["agents"]
        assert http.get("/api/v1/sessions").status_code == 200
        assert http.post("/api/v1/sessions/x/tokens").status_code == 403
    assert [agent["id"] for agent in agents] == ["echo", "other"]
    assert set(agents[0]) == {"id", "description", "model", "examples", "online"}
    assert agents[0]["online"] is True


def test_mounting_under_a_prefix_leaves_the_rest_of_the_app_alone() -> None:
    app = Flask(__name__)
    app.add_url_rule("/", "home", lambda: "home")
    backend = RedisBackend(NOWHERE)
    mount(app, backend=backend, dispatch=lambda agent, session_id, queue: None, secret_key=SECRET, url_prefix="/chat")
    browser = app.test_client()
    assert browser.get("/").data == b"home"
    assert browser.get("/api/config").status_code == 404
    assert browser.get("/chat/api/config").status_code == 200


def test_agents_are_for_those_we_know(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with gateway.http() as http:
        assert http.get("/api/agents").status_code == 401
