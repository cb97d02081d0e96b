"""The Celery app of a worker, made of settings: what `workers/app.py` runs, and `chatagent worker` for a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import Celery

from chatagent.agent import Agent
from chatagent.agent.task import Task
from chatagent.celery import Options, make_app
from chatagent.cli.broker import celery_broker, celery_prefix
from chatagent.redis import RedisBackend
from chatagent.runtime.author import Mint
from chatagent.runtime.engine import EngineOptions
from chatagent.runtime.turn import TurnOptions
from chatagent.settings import Settings
from chatagent.token import sign


def celery_app(settings: Settings, served: Iterable[Agent[Any] | Task[Any, Any]]) -> Celery:
    """The Celery app of a worker that serves these agents and tasks. Raises: ConfigError for two with one id."""
    served = list(served)
    return make_app(
        [agent for agent in served if isinstance(agent, Agent)],
        tasks=[task for task in served if isinstance(task, Task)],
        backend=RedisBackend(settings.redis_url, settings.prefix, settings.lease_s, settings.claim_grace_s),
        broker_url=celery_broker(settings),
        key_prefix=celery_prefix(settings),
        concurrency=settings.concurrency,
        options=Options(_engine(settings), warm_up=settings.warm_up),
    )


def _engine(settings: Settings) -> EngineOptions:
    return EngineOptions(
        queue=settings.queue,
        heartbeat_s=settings.heartbeat_s or settings.lease_s / 3,
        sweep_s=settings.sweep_s,
        grace_s=settings.grace_s,
        turn=TurnOptions(
            max_attempts=settings.max_attempts,
            max_chunk_bytes=settings.max_chunk_kb * 1024,
            model=settings.model,
            idle_timeout_s=settings.idle_timeout_s,
            mint=_mint(settings),
        ),
    )


def _mint(settings: Settings) -> Mint | None:
    """Makes the tokens that hooks are given; without the gateway's secret key there are none."""
    if settings.secret_key is None:
        return None
    secret = settings.secret_key.get_secret_value()

    def mint(chat_id: str, ttl_s: float) -> str:
        return sign(secret, (f"read:sessions:{chat_id}", f"write:sessions:{chat_id}"), ttl_s=ttl_s)

    return mint
