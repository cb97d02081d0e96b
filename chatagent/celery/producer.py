"""A Celery app set up for chats, without agents: all that a gateway needs to send turn tasks."""

from __future__ import annotations

from typing import Any

from celery import Celery

#: Celery's keys in Redis start with this; workers and gateways of one deployment must agree.
DEFAULT_KEY_PREFIX = "chatagent:mq:"
#: What a Celery app that serves chats should be set to. `make_app` sets it; an app of your own keeps its settings.
#: Acknowledging early with no prefetch keeps Celery's redelivery out of every failure path: leases decide.
CELERY_SETTINGS: dict[str, Any] = {
    "task_acks_late": False,
    "task_reject_on_worker_lost": True,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "result_backend": None,
    "worker_pool": "threads",
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "worker_consumer": "chatagent.celery.consumer:RobustConsumer",
    "worker_enable_prefetch_count_reduction": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "worker_send_task_events": True,
    "task_send_sent_event": True,
    "broker_connection_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        "visibility_timeout": 3600,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 15,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 25,
    },
}


def make_producer(broker_url: str, *, key_prefix: str = DEFAULT_KEY_PREFIX) -> Celery:
    """A Celery app that only sends turn tasks, for a gateway: `Enqueue(make_producer(url))`."""
    app = Celery("chatagent", broker=broker_url, set_as_current=False)
    app.conf.update(CELERY_SETTINGS)
    app.conf.broker_transport_options = {**CELERY_SETTINGS["broker_transport_options"], "global_keyprefix": key_prefix}
    return app
