"""The Flask application: `gunicorn -c web/gunicorn.conf.py "web.app:create_app()"`.

Add routes and extensions of your own to the app that `create_app` returns; who is asking is up to `web/identity.py`.
"""

from __future__ import annotations

from flask import Flask

from chatagent.cli import wsgi
from chatagent.settings import Settings
from web.identity import identify


def create_app(settings: Settings | None = None) -> Flask:
    """The gateway, from settings (`CHATAGENT_*`). Raises: ConfigError without a secret key, unless in development."""
    return wsgi.create_app(settings, identify=identify)
