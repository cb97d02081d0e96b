"""The gateway as a Flask app, made of settings: what `web/app.py` serves, and `chatagent web` where there is none."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from celery import Celery
from flask import Flask
from kombu.exceptions import OperationalError

from chatagent.celery import Enqueue, make_producer
from chatagent.cli.broker import celery_broker, celery_prefix
from chatagent.errors import ConfigError, StoreDown
from chatagent.flask import Identify, Options, mount
from chatagent.log import configure
from chatagent.redis import RedisBackend
from chatagent.settings import Settings

#: Seconds for the broker to take a task. Without such a limit a frozen broker holds a send for ever.
_BROKER_TIMEOUT_S = 3.0
_KIB, _MIB = 1024, 1024 * 1024


def create_app(settings: Settings | None = None, *, identify: Identify | None = None) -> Flask:
    """The gateway, from settings (`CHATAGENT_*`). Raises: ConfigError without a secret key, unless in development."""
    settings = settings or Settings()
    configure(settings)
    broker = producer(settings)
    app = Flask("chatagent.web", static_folder=None)
    mount(
        app,
        backend=RedisBackend(settings.redis_url, settings.prefix, durability=settings.durability),
        dispatch=Enqueue(broker),
        secret_key=secret_key(settings),
        identify=identify,
        options=gateway_options(settings),
        broker_ping=broker_ping(broker),
    )
    return app


def gateway_options(settings: Settings) -> Options:
    """What the settings say to the gateway."""
    return Options(
        default_agent=settings.default_agent,
        allowed_origins=settings.allowed_origins,
        dev=settings.dev,
        token_ttl_s=settings.token_ttl_s,
        max_body_bytes=int(settings.max_body_mb * _MIB),
        max_frame_bytes=settings.max_frame_kb * _KIB,
        ui=settings.ui,
        title=settings.title,
    )


def producer(settings: Settings) -> Celery:
    """A Celery app that only sends tasks, and does not wait long for its broker."""
    app = make_producer(celery_broker(settings), key_prefix=celery_prefix(settings))
    limits = {
        "socket_timeout": _BROKER_TIMEOUT_S,
        "socket_connect_timeout": _BROKER_TIMEOUT_S,
        # One more try, at once: a send must not hang while the broker is away. The sweeper sends the task later.
        "max_retries": 1,
        "interval_start": 0.05,
        "interval_step": 0.1,
    }
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, **limits}
    return app


def broker_ping(app: Celery) -> Callable[[], None]:
    """Raises StoreDown when the broker does not answer."""

    def ping() -> None:
        with app.connection_for_write() as connection:
            try:
                connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=_BROKER_TIMEOUT_S)
                client = getattr(connection.default_channel, "client", None)
                if client is not None:  # Redis connects when it is first used
                    client.ping()
            except (OperationalError, *connection.connection_errors) as error:
                raise StoreDown("the broker does not answer") from error

    return ping


def secret_key(settings: Settings) -> str:
    """What signs tokens. In development one is made up when there is none: good for one process, until it ends."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    if settings.dev:
        return secrets.token_hex(32)
    raise ConfigError("set CHATAGENT_SECRET_KEY (for example from `openssl rand -hex 32`), or CHATAGENT_DEV=1")
