"""`chat.inject`: telling the model of a chat something that no user has said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chatagent.agent.event import ModelMessage
from chatagent.agent.stream import place_of
from chatagent.agent.task_run import current_launcher, current_task_run
from chatagent.agent.turn import current_turn
from chatagent.errors import BadRequest, ConfigError


async def inject(messages: Sequence[ModelMessage] | ModelMessage | str, *, target: str | None = None) -> None:
    """Tell a model something in the background: at the next step of the turn that runs, else in the next turn.

    A `system` message (or a `str`) adds instructions to one answer; messages of other roles join the conversation.
    `target`: in an agent its own chat; in a task the chat at the top ("root"); "parent", or the id of a run or session.
    It is stored at once: nothing is lost with a worker, and nothing is said twice.
    Raises: NotFound for a session that is gone, ConfigError in a task that no chat has started, BadRequest for what
    is no model message.
    """
    given = _read(messages)
    run = current_task_run()
    if target in (None, "self") and run is None:
        await current_turn().control.inject(given)
        return
    if target in (None, "root") and run is not None and run.trace.chat is None:
        raise ConfigError("no chat has started this task: say whose model is told, `target=` the id of a session")
    session_id, _ = place_of("root" if target is None else target)
    await current_launcher().inject(session_id, given)


def _read(messages: Sequence[ModelMessage] | ModelMessage | str) -> list[ModelMessage]:
    if isinstance(messages, str):
        return [{"role": "system", "content": messages}]
    given = [messages] if isinstance(messages, Mapping) else list(messages)
    for message in given:
        if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
            raise BadRequest(f"must be model messages, dicts with role and content, not {message!r}", field="messages")
    return given
