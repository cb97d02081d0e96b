"""The Celery application: `celery -A workers.app worker` and `celery -A workers.app flower`."""

from __future__ import annotations

from chatagent.cli.deployment import celery_app
from chatagent.log import configure
from chatagent.settings import Settings
from workers.agents import AGENTS

settings = Settings()
configure(settings)
app = celery_app(settings, AGENTS)
