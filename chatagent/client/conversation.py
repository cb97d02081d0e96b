"""The verbs of one chat, as calls to its gateway. Sans-I/O: `blocking` and `asynchronous` make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from chatagent.client.follow import Following
from chatagent.client.gateway import SESSIONS, Gateway
from chatagent.client.message import Content, answered_approval, answered_call, user_message
from chatagent.client.session_call import append
from chatagent.client.want import Call, Lost, Steps, Wait
from chatagent.errors import Retryable
from chatagent.ids import new_id
from chatagent.record import Busy

UIMessage = dict[str, Any]


class Conversation:
    """The verbs of one chat."""

    def __init__(self, gateway: Gateway, agent: str | None, chat_id: str | None) -> None:
        self.gateway = gateway
        self.agent = agent
        self.chat_id = chat_id or new_id("chat_")

    def path(self, *further: str) -> str:
        """A path of the sessions API."""
        return "/".join((SESSIONS, quote(self.chat_id, safe=""), *further))

    @property
    def out_path(self) -> str:
        """The path of the chat's outbox."""
        return f"/realtime/v1/sessions/{quote(self.chat_id, safe='')}/out"

    def stream_path(self, what: str) -> str:
        """A path of the answer's door."""
        return f"/api/chat/{quote(self.chat_id, safe='')}/{what}"

    def start(self, tags: Sequence[str], metadata: Any, user: str | None) -> Steps[dict[str, Any]]:
        """Make the session, or find it."""
        body = {"externalId": self.chat_id, "taskIdentifier": self.agent, "type": "chat.agent", "tags": list(tags)}
        further = {"metadata": metadata, "user": user}
        body |= {name: value for name, value in further.items() if value is not None}
        return (yield from self.gateway.json("POST", SESSIONS, body))

    def session(self) -> Steps[dict[str, Any]]:
        """What the gateway knows about the chat."""
        return (yield from self.gateway.json("GET", self.path()))

    def history(self) -> Steps[list[UIMessage]]:
        """The conversation."""
        found: list[UIMessage] = (yield from self.snapshot())["messages"]
        return found

    def snapshot(self) -> Steps[dict[str, Any]]:
        """The conversation with the session around it."""
        return (yield from self.gateway.json("GET", self.path("history")))

    def stop(self, message_id: str | None = None) -> Steps[bool]:
        """End the answer that is being written, or the one to (or with) this message."""
        asked = {} if message_id is None else {"messageId": message_id}
        # Made again after a lost reply, it must not stop the answer to what waited.
        call = Call("POST", self.stream_path("stop"), asked, headers={"X-Part-Id": new_id()})
        told = self.gateway.told((yield from self.gateway.ask(call)))
        return bool(told["stopped"])

    def close(self, reason: str | None) -> Steps[dict[str, Any]]:
        """Take no more messages, for ever."""
        return (yield from self.gateway.json("POST", self.path("close"), {} if reason is None else {"reason": reason}))

    def mint(self, scopes: Sequence[str], ttl_s: int | None, user: str | None) -> Steps[str]:
        """A token for this chat."""
        body = {"scopes": list(scopes), "ttl": ttl_s, "user": user}
        given = {name: value for name, value in body.items() if value is not None}
        told = yield from self.gateway.json("POST", self.path("tokens"), given)
        return str(told["token"])

    # -- while the chat is busy ---------------------------------------------------------------------------------

    def steer(self, content: Content, metadata: Any) -> Steps[int]:
        """A message into the answer that is being written."""
        payload: dict[str, Any] = {"chatId": self.chat_id, "trigger": "submit-message", "busy": "steer"}
        payload |= {"message": user_message(content), **({} if metadata is None else {"metadata": metadata})}
        told = yield from append(self.gateway, self.chat_id, "in", {"kind": "message", "payload": payload})
        return int(told["seq"])

    def queue(self) -> Steps[list[dict[str, Any]]]:
        """The messages that wait."""
        found: list[dict[str, Any]] = (yield from self.gateway.json("GET", self.stream_path("queue")))["queue"]
        return found

    def change_queued(self, name: str | int, content: Content | None, busy: Busy | None) -> Steps[dict[str, Any]]:
        """Another wording or policy for a message that waits."""
        changes = {"message": None if content is None else user_message(content), "busy": busy}
        given = {name: each for name, each in changes.items() if each is not None}
        return (yield from self.gateway.json("PATCH", self._queued_path(name), given))

    def cancel_queued(self, name: str | int) -> Steps[dict[str, Any]]:
        """Take a message that waits out."""
        return (yield from self.gateway.json("DELETE", self._queued_path(name)))

    def _queued_path(self, name: str | int) -> str:
        return f"{self.stream_path('queue')}/{quote(str(name), safe='')}"

    # -- what is answered over time -----------------------------------------------------------------------------

    def send(
        self, content: Content, metadata: Any, body: Mapping[str, Any] | None, busy: Busy | None
    ) -> Steps[Following]:
        """A message of the user."""
        sent = {"message": user_message(content), **({} if busy is None else {"busy": busy})}
        return (yield from self._post(sent, metadata, body))

    def action(self, action: Any, metadata: Any) -> Steps[Following]:
        """An action of the agent, and what it answers."""
        given = {"action": action, **({} if metadata is None else {"metadata": metadata})}
        return (yield from self._once(Call("POST", self.stream_path("action"), given, {"ai": "7"}, stream=True)))

    def edit(self, message_id: str, content: Content, metadata: Any) -> Steps[Following]:
        """Another wording of an earlier message; what followed it is forgotten."""
        return (
            yield from self._post({"message": user_message(content, message_id), "messageId": message_id}, metadata)
        )

    def answer_tool(self, tool_call_id: str, output: Any, error: str | None, metadata: Any) -> Steps[Following]:
        """The output of a tool that runs on our side."""
        told = {"state": "output-available", "output": output}
        if error is not None:
            told = {"state": "output-error", "errorText": error}
        messages = yield from self.history()
        sent, made = answered_call(messages, tool_call_id, told)
        return (yield from self._post({"message": sent}, metadata, initial=made))

    def approve(self, approval_id: str, approved: bool, reason: str | None, metadata: Any) -> Steps[Following]:
        """Yes or no to a call."""
        messages = yield from self.history()
        sent, made = answered_approval(messages, approval_id, approved, reason)
        return (yield from self._post({"message": sent}, metadata, initial=made))

    def regenerate(self, message_id: str | None, metadata: Any) -> Steps[Following]:
        """Another answer."""
        return (
            yield from self._once(
                self._call({"trigger": "regenerate-message", "messageId": message_id}, metadata, None)
            )
        )

    def _once(self, call: Call) -> Steps[Following]:
        """Ask for what counts each time that it arrives: whether it did is looked up after a lost call."""
        before = (yield from self.snapshot())["in_seq"]
        for failures in range(1, self.gateway.limits.retries + 2):
            try:
                yield from self.gateway.ask(call, repeatable=False)
                return self._following(None)
            except Lost as lost:
                problem = lost
            yield Wait(self.gateway.limits.pause(failures))
            if (yield from self.snapshot())["in_seq"] > before:
                return self._following(None, connected=False)
        raise Retryable(f"nothing answers at {self.gateway.url} ({problem})") from problem

    def resume(self) -> Steps[Following | None]:
        """The answer that is being written; None when there is none."""
        reply = yield from self.gateway.ask(self.stream_call())
        return None if reply.status == 204 else self._following(None)

    def stream_call(self) -> Call:
        """Asks for the answer that is being written, from its start."""
        return Call("GET", self.stream_path("stream"), query={"ai": "7"}, stream=True)

    def _post(
        self,
        sent: dict[str, Any],
        metadata: Any,
        body: Mapping[str, Any] | None = None,
        initial: UIMessage | None = None,
    ) -> Steps[Following]:
        call = self._call({"trigger": "submit-message", **sent}, metadata, body)
        following = self._following(call, initial)
        yield from self.gateway.ask(call)
        return following

    def _following(self, post: Call | None, initial: UIMessage | None = None, *, connected: bool = True) -> Following:
        return Following(self.gateway, self.stream_call(), self.history, post, initial, connected=connected)

    def _call(self, sent: dict[str, Any], metadata: Any, body: Mapping[str, Any] | None) -> Call:
        further = {"agent": self.agent, "metadata": metadata}
        given = {name: value for name, value in {**sent, **further}.items() if value is not None}
        return Call("POST", "/api/chat", {**(body or {}), "id": self.chat_id, **given}, {"ai": "7"}, stream=True)
