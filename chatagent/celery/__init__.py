"""Chats on Celery: agents as tasks, a service in every worker, and how a turn is enqueued.

Names are loaded when they are first used: a gateway enqueues turns, and needs nothing of what runs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chatagent.celery.app import make_app, mount
    from chatagent.celery.enqueue import Enqueue
    from chatagent.celery.producer import CELERY_SETTINGS, make_producer
    from chatagent.celery.service import Options, Service

_HOMES = {
    "CELERY_SETTINGS": "producer",
    "Enqueue": "enqueue",
    "Options": "service",
    "Service": "service",
    "make_app": "app",
    "make_producer": "producer",
    "mount": "app",
}

__all__ = ["CELERY_SETTINGS", "Enqueue", "Options", "Service", "make_app", "make_producer", "mount"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
