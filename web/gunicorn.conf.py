"""Gunicorn's settings for the gateway: ours, and below them what this deployment wants otherwise.

Options on gunicorn's command line go before what is written here.
"""

from __future__ import annotations

from chatagent.cli.gunicorn_conf import *  # noqa: F403
