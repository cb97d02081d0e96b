"""`GET /openapi.json`: made when it is first asked for, then kept."""

from __future__ import annotations

import hashlib
import threading

import orjson
from flask import Blueprint, Response, current_app, request

from chatagent.flask.openapi.document import build
from chatagent.flask.page import package_version


def register(blueprint: Blueprint, title: str) -> None:
    """Add the route. It tells of all routes that the app has when it is first asked."""
    kept = _Kept()

    @blueprint.get("/openapi.json")
    def openapi() -> Response:
        raw, etag = kept.document(request.path.removesuffix("/openapi.json"), title)
        response = Response(raw, content_type="application/json")
        response.set_etag(etag)
        response.headers["Cache-Control"] = "no-cache"
        response.make_conditional(request)
        return response


class _Kept:
    """The document as JSON with its tag, for one place at which the app is served (a proxy may shift it)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._root: str | None = None
        self._made = (b"", "")

    def document(self, prefix: str, title: str) -> tuple[bytes, str]:
        """The JSON, and what changes with it."""
        root = request.root_path + prefix
        with self._lock:
            if root != self._root:
                rules = current_app.url_map.iter_rules()
                made = build(rules, prefix=prefix, server=root or "/", title=title, version=package_version())
                raw = orjson.dumps(made)
                self._root, self._made = root, (raw, hashlib.sha256(raw).hexdigest()[:32])
            return self._made
