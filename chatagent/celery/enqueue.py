"""Enqueue a turn: one Celery message that names the agent and the session, nothing else."""

from __future__ import annotations

from celery import Celery


class Enqueue:
    """Sends turn tasks. Callable from any thread: `enqueue(agent_id, session_id, queue)`."""

    def __init__(self, app: Celery) -> None:
        self.app = app

    def __call__(self, agent_id: str, session_id: str, queue: str) -> None:
        """Send the task; raises what Celery raises when the broker does not take it."""
        self.app.send_task(
            agent_id,
            (session_id,),
            queue=queue,
            ignore_result=True,
            argsrepr=f"('{session_id}',)",
            kwargsrepr="{}",
            retry=False,
        )
