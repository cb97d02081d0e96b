"""Where Celery's messages go: worker and gateway must agree."""

from __future__ import annotations

from chatagent.redis.connection import broker_url
from chatagent.settings import Settings


def celery_broker(settings: Settings) -> str:
    """The broker that is set, else the Redis of the chats."""
    return settings.broker_url or broker_url(settings.redis_url)


def celery_prefix(settings: Settings) -> str:
    """How Celery's keys start, so that two deployments can share one Redis."""
    return f"{settings.prefix}:mq:"
