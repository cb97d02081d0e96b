"""Mount agents into any Celery app: one task per agent, named by its id, and the service behind them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import Celery, bootsteps
from celery.worker.components import Pool

from chatagent.celery.producer import DEFAULT_KEY_PREFIX, make_producer
from chatagent.celery.service import Options, Service, direct_queue
from chatagent.runtime.kind import Kind, by_id
from chatagent.runtime.port import Backend


def make_app(
    agents: Iterable[Kind],
    *,
    tasks: Iterable[Kind] = (),
    backend: Backend,
    broker_url: str,
    key_prefix: str = DEFAULT_KEY_PREFIX,
    concurrency: int = 100,
    options: Options | None = None,
) -> Celery:
    """A Celery app of our own, set up for chats and with `agents` and `tasks` mounted."""
    options = options or Options()
    app = make_producer(broker_url, key_prefix=key_prefix)
    app.conf.task_default_queue = options.engine.queue
    app.conf.worker_concurrency = concurrency
    mount(app, agents=agents, tasks=tasks, backend=backend, options=options)
    return app


def mount(
    app: Celery,
    *,
    agents: Iterable[Kind],
    tasks: Iterable[Kind] = (),
    backend: Backend,
    options: Options | None = None,
) -> Service:
    """Serve `agents` and `tasks` from the workers of `app`.

    Each becomes a task of this app alone, named by its id, that takes a session id. Workers of the app open an
    event loop when they start and hand running turns back when they stop. The pool must be `threads`.
    Raises: ConfigError for two with one id, and for tools that cannot run.
    """
    served = by_id([*agents, *tasks])
    service = Service(app, served, backend, options or Options())
    for agent_id in served:
        _register(app, service, agent_id)
    app.steps["worker"].add(_service_step(service))
    return service


def _register(app: Celery, service: Service, agent_id: str) -> None:
    @app.task(name=agent_id, shared=False, ignore_result=True, acks_late=False, typing=False)  # type: ignore[untyped-decorator,unused-ignore]
    def turn(session_id: str) -> str:
        return service.run(agent_id, session_id)


def _service_step(service: Service) -> type[bootsteps.StartStopStep]:
    """The service as a part of Celery's worker: started after the pool, so stopped before it."""

    class ServiceStep(bootsteps.StartStopStep):  # type: ignore[misc]
        requires = (Pool,)

        def include_if(self, worker: Any) -> bool:
            # A worker with `-Q` for other queues is none of ours. (Celery has no public word for "no -Q was given".)
            selected = worker.app.amqp.queues._consume_from
            return selected is None or any(queue in selected for queue in service.queues)

        def create(self, worker: Any) -> Any:
            queues = worker.app.amqp.queues
            names = [direct_queue(worker.hostname)]
            if queues._consume_from is None:
                names += service.queues
            for name in names:
                queues.select_add(queues[name])
            return self

        def start(self, worker: Any) -> None:
            service.start(worker.hostname)

        def stop(self, worker: Any) -> None:
            service.stop()

        terminate = stop

    return ServiceStep
