"""`TestChat`: a conversation with an agent, in a test, on the real runtime and a real Redis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

import orjson

from chatagent.agent import Agent
from chatagent.agent.task import Result, Task
from chatagent.duration import Duration, seconds
from chatagent.ids import new_id
from chatagent.record import Busy, Kind, OutRecord, control_headers
from chatagent.redis.session import Session
from chatagent.redis.task import Tasks
from chatagent.runtime.engine import EngineOptions
from chatagent.runtime.turn import TurnOptions
from chatagent.testing.answer import Answer, Chunk, UIMessage
from chatagent.testing.message import Content, answered, user_message
from chatagent.testing.model import ScriptedModel
from chatagent.testing.stage import shared
from chatagent.testing.world import Locals, NotAnswered, World
from chatagent.ui import decode, encode_value
from chatagent.ui.reading import ToolCall

In = TypeVar("In")
Out = TypeVar("Out")

#: Seconds that a test waits for anything.
TIMEOUT_S = 10.0


def _token(chat_id: str, ttl_s: float) -> str:
    """The tokens that hooks are given."""
    return f"token-for-{chat_id}"


#: An engine that notices everything soon.
OPTIONS = EngineOptions(heartbeat_s=0.25, sweep_s=0.5, grace_s=0.05, turn=TurnOptions(model="test/model", mint=_token))


class TestChat:
    """One chat with an agent; a context manager. Synchronous: the engine has a thread of its own.

    `serve` are further agents and tasks that it needs. Nothing of a test outlives it.
    """

    __test__: ClassVar[bool] = False

    def __init__(
        self,
        agent: Agent[Any],
        *,
        serve: Iterable[Agent[Any] | Task[Any, Any]] = (),
        client_data: Any = None,
        chat_id: str | None = None,
        user: str | None = None,
        tags: Sequence[str] = (),
        timeout_s: float = TIMEOUT_S,
        idle_timeout_s: float | None = None,
        options: EngineOptions = OPTIONS,
        redis_url: str | None = None,
    ) -> None:
        if not isinstance(agent, Agent):
            raise TypeError(f"a test talks to an agent, and serves its tasks with serve=[…]; {agent!r} is no agent")
        if idle_timeout_s is not None:
            options = replace(options, turn=replace(options.turn, idle_timeout_s=idle_timeout_s))
        url = redis_url or shared.redis_url
        self._world = World([agent, *serve], options, redis_url=url, timeout_s=timeout_s)
        self._start = {**_metadata(client_data), "user": user, "tags": tags}
        self._agent = agent
        self._known: Session | None = None
        self.chat_id = chat_id or new_id("chat_")
        self._world.start()

    def another(self, chat_id: str | None = None, *, client_data: Any = None, user: str | None = None) -> TestChat:
        """A further chat with the same agent, on the same workers; it ends with this one."""
        other = object.__new__(type(self))
        other._world, other._agent, other._known = self._world, self._agent, None
        other._start = {**_metadata(client_data), "user": user, "tags": ()}
        other.chat_id = chat_id or new_id("chat_")
        return other

    # -- what a user does ---------------------------------------------------------------------------------------

    def send(
        self,
        content: Content,
        *,
        busy: Busy | None = None,
        wait: bool = True,
        client_data: Any = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Send text, parts or a message; returns when it is answered, or at once without `wait`."""
        return self._send({"message": user_message(content)}, wait, client_data, body, busy)

    def steer(self, content: Content) -> Answer:
        """Send into the running answer; it is read at the next step. Does not wait."""
        return self.send(content, busy="steer", wait=False)

    def regenerate(self, message_id: str | None = None, *, wait: bool = True) -> Answer:
        """Have the last message answered again, or the one that `message_id` names (or is the answer to)."""
        sent = {"trigger": "regenerate-message", **({} if message_id is None else {"messageId": message_id})}
        return self._send(sent, wait)

    def edit(self, message_id: str, content: Content, *, wait: bool = True) -> Answer:
        """Replace a message of the user; what followed it is forgotten."""
        return self._send({"message": user_message(content, message_id), "messageId": message_id}, wait)

    def answer_tool(
        self, output: Any = None, *, call: ToolCall | str | None = None, error: str | None = None, wait: bool = True
    ) -> Answer:
        """Answer a call of a client's tool: the only one that waits, or that of an id or a tool's name."""
        told = {"state": "output-available", "output": output}
        if error is not None:
            told = {"state": "output-error", "errorText": error}
        return self._send({"message": answered(self.history, call, told)}, wait)

    def approve(self, call: ToolCall | str | None = None, *, reason: str | None = None, wait: bool = True) -> Answer:
        """Say yes to the call that asks: the only one, or that of an id, an approval or a tool's name."""
        return self._decide(call, True, reason, wait)

    def deny(self, call: ToolCall | str | None = None, *, reason: str | None = None, wait: bool = True) -> Answer:
        """Say no to it."""
        return self._decide(call, False, reason, wait)

    def action(self, action: Any, *, client_data: Any = None, wait: bool = True) -> Answer:
        """Send an action."""
        return self._push("action", {"action": action, **_metadata(client_data)}, wait)

    def preload(self, *, wait: bool = True) -> None:
        """Start the run before there is a message."""
        self._push("preload", {}, wait)

    def stop(self, *, wait: bool = True) -> None:
        """Stop the running answer."""
        self._push("stop", {}, wait)

    def inject(self, *messages: str | Mapping[str, Any]) -> None:
        """Put model messages (text: an instruction) where the next turn finds them."""
        told = [{"role": "system", "content": each} if isinstance(each, str) else each for each in messages]
        self._world.gateway.inbox.inject(self.session.id, told)

    def close(self, reason: str | None = None) -> None:
        """Close the chat for good: later messages raise Closed."""
        self._world.gateway.sessions.close(self.session.id, reason)
        self._world.ring("close", self.session.id)

    # -- the queue ----------------------------------------------------------------------------------------------

    @property
    def queue(self) -> list[UIMessage]:
        """Messages that wait and can still be changed."""
        waiting = self._world.gateway.inbox.queue(self.session.id)
        return [record.payload["message"] for record in waiting if record.payload.get("message")]

    def cancel_queued(self, message_id: str) -> None:
        """Take a message out of the queue. Raises: NotFound."""
        self._world.gateway.inbox.cancel(self.session.id, message_id)

    def edit_queued(self, message_id: str, content: Content | None = None, *, busy: Busy | None = None) -> None:
        """Change a message that waits, or what it does to the running answer. Raises: NotFound."""
        payload = None
        if content is not None:
            payload = {"trigger": "submit-message", "message": user_message(content, message_id)}
        self._world.gateway.inbox.edit(self.session.id, message_id, payload, busy)

    # -- what there is to see -----------------------------------------------------------------------------------

    @property
    def model(self) -> ScriptedModel:
        """What stands in for all models: `script` it, and look at its `requests`."""
        return self._world.model

    @property
    def locals(self) -> Locals:
        """Values of `chat.local` for runs that have none: `chat.locals[db] = FakeDatabase()`."""
        return self._world.locals

    @property
    def history(self) -> list[UIMessage]:
        """The stored conversation."""
        return self._world.gateway.history.read(self.session.id).messages

    @property
    def chunks(self) -> list[Chunk]:
        """All chunks of the chat, in order."""
        return [decode(record.raw) for record in self.records() if record.control is None]

    @property
    def raw_chunks(self) -> list[Chunk]:
        """The same with the control records between them: `{"type": "turn-complete", …}`."""
        return [
            decode(record.raw) if record.control is None else {"type": record.control, **control_headers(record.raw)}
            for record in self.records()
        ]

    @property
    def session(self) -> Session:
        """The chat as it stands."""
        if self._known is None:
            options = self._agent.options
            queue = options.queue or self._world.options.queue
            self._known, _ = self._world.gateway.sessions.create(
                self.chat_id, self._agent.id, queue=queue, busy=options.busy, **self._start
            )
            return self._known
        return self._world.gateway.sessions.get(self._known.id)

    def records(self) -> list[OutRecord]:
        """All that the chat has said, the control records included."""
        return self._world.logs.read(self.session.id)

    @property
    def timeout_s(self) -> float:
        """Seconds that a verb waits before it says what holds it up."""
        return self._world.timeout_s

    @timeout_s.setter
    def timeout_s(self, timeout_s: float) -> None:
        self._world.timeout_s = timeout_s

    # -- time ---------------------------------------------------------------------------------------------------

    def pause_at(self, place: str) -> None:
        """Hold the next one who comes to a place: before a tool runs (its name), or before a call of the store.

        Those are `claim`, `append` (a batch of chunks), `mark`, `take`, `commit`, `amend`, `hand_back`, `suspend`.
        """
        self._world.holds.at(place)

    def wait_paused(self) -> str:
        """Wait until the agent is held, and all that it wrote before is stored. Raises: NotAnswered."""
        return self._world.wait_held()

    def resume(self) -> None:
        """Let what is held go on. Raises: NotAnswered when nothing is."""
        if not self._world.holds.release():
            raise NotAnswered("nothing is held: wait_paused() first")

    def wait(self) -> None:
        """Wait until the chat has answered everything."""
        self.settle(-1)

    def settle(self, seq: int) -> None:
        """Wait until inbox record `seq`, and all else, is answered."""
        self._world.wait_idle(self.session.id, seq)

    def suspend(self) -> None:
        """Let the idle run leave its process, as after its idle timeout."""
        self._world.suspend(self.session.id)

    def advance(self, duration: Duration) -> None:
        """Let time pass for an idle chat: its run is suspended after its idle timeout, over after its turn timeout.

        Nobody waits: its deadlines come nearer.
        """
        passed_ms = int(seconds(duration) * 1000)
        gateway, key = self._world.gateway, self._world.gateway.keys.session(self.session.id)
        now_s, now_us = gateway.client.time()
        warm_until, run_until = (int(each or 0) for each in gateway.client.hmget(key, "warm_until", "run_until"))
        if warm_until <= now_s * 1000 + now_us // 1000 + passed_ms:
            self.suspend()
        left: dict[Any, Any] = {
            "warm_until": max(0, warm_until - passed_ms),
            "run_until": max(0, run_until - passed_ms),
        }
        gateway.client.hset(key, mapping=left)

    def restart(self) -> None:
        """Deploy: the worker hands back what runs and suspends what is warm; another process goes on."""
        self._world.restart()

    def crash(self) -> None:
        """Kill the worker as `kill -9` would: nothing more reaches Redis, no hook runs, its lease lapses at once.

        What can be torn off is cancelled at once; plain functions that run in threads come to nothing.
        """
        self._world.crash()

    def recover(self, *, wait: bool = True) -> None:
        """Start another worker, which goes on where the dead one was."""
        self._world.recover()
        if wait:
            self.wait()

    def seed(self, history: Iterable[Content | UIMessage]) -> None:
        """Let the chat have a past: messages with roles as they are, all else as messages of the user."""
        messages = [_seeded(each) for each in history]
        gateway, session_id = self._world.gateway, self.session.id
        key = gateway.keys.session(session_id)
        turns = sum(message["role"] == "user" for message in messages)
        gateway.client.rpush(gateway.keys.history(session_id), *map(encode_value, messages))
        gateway.client.hset(key, mapping={"turn": turns, "chat_started": 1})

    def run(self, task: Task[In, Out], payload: In) -> Result[Out]:
        """Run a task that is served, to its end."""
        if self._world.kinds.get(task.id) is not task:
            raise LookupError(f"task {task.id!r} is not served: name it in serve=[…]")
        tasks = Tasks(self._world.backend, lambda agent, session, queue: self._world.send(agent, session))
        try:
            handle = tasks.trigger(task, payload)
            return tasks.wait(task, handle.run_id, timeout_s=self._world.timeout_s)
        finally:
            tasks.close()
            self.model.check()

    # -- the end ------------------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """End the workers and forget everything; `with` and the fixture do it. Raises: UnscriptedCall."""
        self._world.close()
        self.model.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.shut_down()
        else:
            self._world.close()

    def _decide(self, call: ToolCall | str | None, approved: bool, reason: str | None, wait: bool) -> Answer:
        given = {"approved": approved, **({} if reason is None else {"reason": reason})}
        told = {"state": "approval-responded", "approval": given}
        return self._send({"message": answered(self.history, call, told)}, wait)

    def _send(
        self,
        sent: Mapping[str, Any],
        wait: bool,
        client_data: Any = None,
        body: Mapping[str, Any] | None = None,
        busy: Busy | None = None,
    ) -> Answer:
        further = {} if body is None else {"body": dict(body)}
        payload = {"trigger": "submit-message", **sent, **_metadata(client_data), **further}
        return self._push("message", payload, wait, busy)

    def _push(self, kind: Kind, payload: Mapping[str, Any], wait: bool, busy: Busy | None = None) -> Answer:
        world, session_id = self._world, self.session.id
        pushed = world.gateway.inbox.push(session_id, kind, payload, busy=busy)
        if pushed.enqueue:
            world.send(pushed.agent, session_id)
        else:
            world.ring(kind, session_id)
        answer = Answer(self, pushed.seq)
        return answer.wait() if wait else answer


class ChatAgent(Protocol):
    """Makes chats in a test: what the fixture `chat_agent` is. Options: those of `TestChat`."""

    def __call__(
        self,
        agent: Agent[Any],
        *,
        serve: Iterable[Agent[Any] | Task[Any, Any]] = ...,
        client_data: Any = ...,
        chat_id: str | None = ...,
        user: str | None = ...,
        tags: Sequence[str] = ...,
        timeout_s: float = ...,
        idle_timeout_s: float | None = ...,
        options: EngineOptions = ...,
        redis_url: str | None = ...,
    ) -> TestChat: ...


def _metadata(client_data: Any) -> dict[str, Any]:
    return {} if client_data is None else {"metadata": orjson.loads(encode_value(client_data))}


def _seeded(given: Content | UIMessage) -> UIMessage:
    if isinstance(given, Mapping) and "role" in given:
        return {"id": new_id(), **given}
    return user_message(given)
