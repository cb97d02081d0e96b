"""From settings to the parts of a deployment: the one place where a setting's name meets what it sets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import Celery

from chatagent.agent import Agent
from chatagent.celery import Options, make_app
from chatagent.redis import RedisBackend
from chatagent.redis.connection import broker_url
from chatagent.runtime.engine import EngineOptions
from chatagent.runtime.turn import TurnOptions
from chatagent.settings import Settings


def backend(settings: Settings) -> RedisBackend:
    """Where the chats are kept."""
    return RedisBackend(
        settings.redis_url, settings.prefix, lease_s=settings.lease_s, claim_grace_s=settings.claim_grace_s
    )


def broker(settings: Settings) -> str:
    """Celery's broker: its own setting, else the Redis of the chats."""
    return settings.broker_url or broker_url(settings.redis_url)


def key_prefix(settings: Settings) -> str:
    """How Celery's keys start."""
    return f"{settings.prefix}:mq:"


def celery_app(settings: Settings, agents: Iterable[Agent[Any]]) -> Celery:
    """The Celery app of the workers."""
    engine = EngineOptions(
        queue=settings.queue,
        heartbeat_s=settings.heartbeat_s or settings.lease_s / 3,
        sweep_s=settings.sweep_s,
        idle_timeout_s=settings.idle_timeout_s,
        grace_s=settings.grace_s,
        turn=TurnOptions(settings.max_attempts, settings.max_chunk_kb * 1024),
    )
    return make_app(
        agents,
        backend=backend(settings),
        broker_url=broker(settings),
        key_prefix=key_prefix(settings),
        concurrency=settings.concurrency,
        options=Options(engine=engine),
    )
