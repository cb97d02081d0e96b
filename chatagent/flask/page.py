"""The playground page, and the calls that it makes before it has a token."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from flask import Blueprint, Response, abort, request, send_from_directory

from chatagent.errors import Forbidden
from chatagent.flask.access import on_this_machine
from chatagent.flask.answer import json_response
from chatagent.flask.gateway import Gateway
from chatagent.flask.token import Identity

#: Where the built page lies; nothing is there before `npm run build`.
STATIC = Path(__file__).parent / "static"
#: What a developer in front of the playground may do.
_PLAYGROUND_SCOPES = frozenset({"read:all", "write:all"})
_NOT_BUILT = b"""<!doctype html><meta charset="utf-8"><title>chatagent</title>
<p>The gateway runs. The page is not built yet: <code>cd web/ui &amp;&amp; npm ci &amp;&amp; npm run build</code>,
then reload.</p>
"""


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the routes."""

    @blueprint.get("/api/agents")
    def agents() -> Response:
        gateway.access.identify(request)
        cards = gateway.backend.directory.agents()
        shown = ("id", "description", "model", "examples", "online")
        return json_response({"agents": [{name: getattr(card, name) for name in shown} for card in cards]})

    @blueprint.get("/api/config")
    def config() -> Response:
        known = isinstance(gateway.access.recognised(request), Identity)
        return json_response(
            {
                "title": gateway.options.title,
                "auth": "none" if known else "token",
                "default_agent": gateway.options.default_agent,
                "version": package_version(),
                "ws": "api/chat/ws",
            }
        )

    @blueprint.post("/api/playground/token")
    def playground_token() -> Response:
        allowed = gateway.options.dev and on_this_machine(request) and gateway.access.origin_allowed(request)
        if not allowed:
            raise Forbidden("tokens are given to the playground in development and on this machine alone")
        token = gateway.access.tokens.mint(_PLAYGROUND_SCOPES, ttl_s=gateway.options.token_ttl_s)
        return json_response({"token": token})

    if gateway.options.ui:
        blueprint.add_url_rule("/", "page", page)
        blueprint.add_url_rule("/<path:name>", "page_file", page_file)


def page() -> Response:
    """The page."""
    if not (STATIC / "index.html").is_file():
        return Response(_NOT_BUILT, content_type="text/html; charset=utf-8")
    return page_file("index.html")


def page_file(name: str) -> Response:
    """A file of the page; names of built assets change with their content, so they may be kept for ever."""
    if not STATIC.is_dir() or name.startswith("api/"):
        abort(404)
    response = send_from_directory(STATIC, name)
    kept = name.startswith("assets/")
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def package_version() -> str:
    """The version of this package; 0 where it was not installed."""
    try:
        return version("chatagent")
    except PackageNotFoundError:
        return "0"
