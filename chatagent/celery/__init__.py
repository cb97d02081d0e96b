"""Chats on Celery: agents as tasks, a service in every worker, and how a turn is enqueued."""

from chatagent.celery.enqueue import Enqueue
from chatagent.celery.mount import CELERY_SETTINGS, make_app, make_producer, mount
from chatagent.celery.service import Options, Service

__all__ = ["CELERY_SETTINGS", "Enqueue", "Options", "Service", "make_app", "make_producer", "mount"]
