"""Mount a gateway into any Flask app: its routes, its WebSocket, its page. Nothing is global, nothing is read here."""

from __future__ import annotations

import threading
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from flask_sock import Sock

from chatagent.errors import Forbidden, StoreDown
from chatagent.flask import (
    answer,
    openai,
    openapi,
    overview_api,
    page,
    queue_api,
    sse,
)
from chatagent.flask.access import TOKEN_PROTOCOL, Access, Identify
from chatagent.flask.answer import json_response
from chatagent.flask.gateway import Dispatch, Gateway
from chatagent.flask.health import Check, Health
from chatagent.flask.options import Options
from chatagent.flask.process import Mounted
from chatagent.flask.sessions import channel_api, management_api, realtime
from chatagent.flask.sessions.session_api import SessionApi
from chatagent.flask.websocket.connection import Connection
from chatagent.redis import RedisBackend
from chatagent.redis.error import store_errors
from chatagent.redis.gateway import GatewayRedis

#: Where the app keeps what was mounted (`app.extensions`).
EXTENSION = "chatagent"
#: The WebSocket subprotocol that is ours; a token may travel beside it.
PROTOCOL = "chatagent"


def mount(
    app: Flask,
    *,
    backend: RedisBackend,
    dispatch: Dispatch,
    secret_key: str,
    identify: Identify | None = None,
    url_prefix: str = "",
    options: Options | None = None,
    broker_ping: Check | None = None,
) -> Mounted:
    """Serve chats from a Flask app, under `url_prefix`.

    `dispatch(agent, session_id, queue)` wakes a worker. `secret_key` signs tokens and is the key of servers.
    `identify(request)` gives the identity of a user whom the app knows by itself. `broker_ping` raises when the
    broker does not answer. Raises: ConfigError for a short secret.
    """
    options = options or Options()
    access = Access(secret_key, identify, options.allowed_origins)
    opened = backend.open_gateway()
    mounted = Mounted(Gateway(opened, dispatch, access, options))
    blueprint = Blueprint("chatagent", __name__, url_prefix=url_prefix or None)
    answer.register(blueprint, max_body_bytes=options.max_body_bytes)
    _guard(blueprint, access, options)
    sse.register(blueprint, mounted.gateway)
    SessionApi(mounted.gateway).register(blueprint)
    management_api.register(blueprint, mounted.gateway)
    realtime.register(blueprint, mounted.gateway)
    channel_api.register(blueprint, mounted.gateway)
    queue_api.register(blueprint, mounted.gateway)
    overview_api.register(blueprint, mounted.gateway)
    _add_health(blueprint, opened, broker_ping)
    _add_socket(app, blueprint, mounted)
    openapi.register(blueprint, options.title)
    page.register(blueprint, mounted.gateway)
    app.register_blueprint(blueprint)
    _add_openai(app, mounted, url_prefix)
    app.extensions[EXTENSION] = mounted
    return mounted


def _add_openai(app: Flask, mounted: Mounted, url_prefix: str) -> None:
    """The door for OpenAI's clients, a blueprint of its own: it tells errors in another shape."""
    blueprint = Blueprint("chatagent_openai", __name__, url_prefix=url_prefix or None)
    _guard(blueprint, mounted.gateway.access, mounted.gateway.options)
    openai.register(blueprint, mounted.gateway)
    app.register_blueprint(blueprint)


def _guard(blueprint: Blueprint, access: Access, options: Options) -> None:
    """Limits on requests, and who may make them from a page on another site (CORS)."""

    @blueprint.before_request
    def limit() -> Response | None:
        request.max_content_length = options.max_body_bytes
        if not access.origin_allowed(request) and (request.method not in ("GET", "HEAD") or _is_socket()):
            raise Forbidden("pages of this origin may not use the gateway; add it to the allowed origins")
        if request.method == "OPTIONS":
            return Response(status=204)
        return None

    @blueprint.after_request
    def share(response: Response) -> Response:
        origin = request.headers.get("Origin")
        if origin is not None and access.origin_listed(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Headers"] = request.headers.get(
                "Access-Control-Request-Headers", "Authorization, Content-Type"
            )
            response.headers["Access-Control-Allow-Methods"] = "GET, POST, PATCH, DELETE, OPTIONS"
            response.headers["Access-Control-Expose-Headers"] = "*"
            response.vary.add("Origin")
        return response


def _add_health(blueprint: Blueprint, backend: GatewayRedis, broker_ping: Check | None) -> None:
    def redis() -> dict[str, bool]:
        with store_errors():
            return {"answered": bool(backend.client.ping())}

    def workers() -> dict[str, int]:
        alive = len(backend.directory.live_workers())
        if not alive:
            raise StoreDown("no worker is alive")
        return {"alive": alive}

    checks: dict[str, Check] = {"redis": redis, "workers": workers}
    if broker_ping is not None:
        checks["broker"] = broker_ping
    health = Health(checks)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        report = health.report()
        return json_response(report, 200 if report["ok"] else 503)


def _add_socket(app: Flask, blueprint: Blueprint, mounted: Mounted) -> None:
    """The WebSocket route. Options of flask-sock are the app's; what it has not set, we set."""
    options = mounted.gateway.options
    ours: dict[str, Any] = {
        "ping_interval": options.ping_interval_s,
        "max_message_size": options.max_frame_bytes,
        "receive_bytes": 65536,
        "subprotocols": _Protocols([PROTOCOL]),
        "thread_class": _ReceivingThread,
    }
    app.config["SOCK_SERVER_OPTIONS"] = {**ours, **app.config.get("SOCK_SERVER_OPTIONS", {})}

    @blueprint.before_request
    def handshake() -> None:
        if _is_socket():
            # Compression costs 100 KB a socket, and flask-sock always takes it when it is offered.
            request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
            # A token that is no good is refused before the handshake.
            g.chatagent_identity = mounted.gateway.access.known(request)

    def chat_socket(ws: Any) -> None:
        mounted.serve(Connection(mounted.gateway, ws, g.chatagent_identity))

    Sock().route("/api/chat/ws", bp=blueprint)(chat_socket)


def _is_socket() -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


class _Protocols(list[str]):
    """The subprotocols that we accept: ours, and one that carries a token."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (super().__contains__(name) or name.startswith(TOKEN_PROTOCOL))


class _ReceivingThread(threading.Thread):
    """simple-websocket's thread, which must not keep a process alive that ends."""

    def __init__(self, target: Any) -> None:
        super().__init__(target=target, daemon=True)
