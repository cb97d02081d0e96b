"""Requests for another answer: what a client that asks for one means, as the chat stands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from chatagent.flask.message import Send
from chatagent.redis.history import Snapshot
from chatagent.redis.session import Session
from chatagent.runtime.conversation import steered_ids, view


def read(send: Send, session: Session, snapshot: Callable[[], Snapshot]) -> Send:
    """The request as it is written into the inbox; one that wants no other answer is given back.

    Pages offer to try again by it after a send that failed, too: then the message never came, and it is sent now.
    While nothing has changed since, the same request once more is no second one.
    """
    if send.payload.get("trigger") != "regenerate-message" or send.part_id is not None:
        return send
    once = _digest(send, session)
    if send.asked is None or send.asked["id"] in _known(snapshot()):
        return replace(send, part_id=once)
    kept = {name: value for name, value in send.payload.items() if name != "messageId"}
    return replace(send, payload={**kept, "trigger": "submit-message", "message": send.asked}, part_id=once)


def _known(snapshot: Snapshot) -> Iterator[str]:
    """Ids of the messages of a chat, also of those that came into an answer."""
    for message in view(snapshot.messages, snapshot.unread):
        yield str(message.get("id"))
        yield from steered_ids(message)


def _digest(send: Send, session: Session) -> str:
    """The same for the same request, until an answer has ended or was stopped."""
    content = json.dumps([send.payload, send.asked, session.complete_seq, session.stop_seq], sort_keys=True)
    return f"again:{hashlib.sha256(content.encode()).hexdigest()[:32]}"
