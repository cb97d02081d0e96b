"""Calls to one gateway, tried again where that is safe. Sans-I/O: `blocking` and `asynchronous` make them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson

from chatagent.client.credential import Credential
from chatagent.client.refusal import RETRYABLE, refusal
from chatagent.client.want import Call, Lost, Reply, Steps, Wait
from chatagent.errors import ConfigError, Retryable, Unauthorized

#: Statuses of a proxy in between: the gateway may have acted on the request.
_AMBIGUOUS = (502, 504)
#: The sessions API.
SESSIONS = "/api/v1/sessions"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a client waits, and how often it tries again. Seconds."""

    connect_s: float = 5.0
    #: Silence on a stream after which it counts as cut; the gateway says something every ten seconds.
    read_s: float = 45.0
    #: An answer to a call that is no stream.
    call_s: float = 30.0
    #: For how long the same message sent again is known as the same; gateways forget it after 300.
    same_s: float = 200.0
    #: Failures in a row, without a chunk between them, that are borne.
    retries: int = 8
    #: The first pause after a failure; each next one is twice as long, up to the last.
    pause_s: float = 0.2
    longest_pause_s: float = 5.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures."""
        pause: float = self.pause_s * 2 ** (failures - 1)
        return min(pause, self.longest_pause_s)


class Gateway:
    """Calls to one gateway, with a credential, tried again where that is safe."""

    def __init__(self, url: str, credential: Credential, limits: Limits) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ConfigError(f"{url!r} is no address of a gateway; it looks like http://127.0.0.1:8000")
        self.url = url.rstrip("/")
        self.credential = credential
        self.limits = limits

    def ask(self, call: Call, *, repeatable: bool = True) -> Steps[Reply]:
        """Make a call. Raises: the error that the gateway tells; Lost when a call that counts once may have arrived."""
        failures, renewed = 0, False
        while True:
            token = yield from self.credential.shown()
            problem: Exception
            try:
                reply: Reply = yield replace(call, token=token)
            except Lost as lost:
                if lost.sent and not repeatable:
                    raise
                problem, after_s = self._unreached(lost), 0.0
            else:
                if reply.status < 300:
                    return self._understood(call, reply)
                problem, after_s = refusal(reply), 0.0
                if isinstance(problem, Unauthorized) and not renewed:
                    renewed = yield from self.credential.renew()
                    if renewed:
                        continue
                if reply.status not in RETRYABLE or (reply.status in _AMBIGUOUS and not repeatable):
                    raise problem
                after_s = getattr(problem, "after_s", after_s)
            failures += 1
            if failures > self.limits.retries:
                raise problem
            pause_s = max(self.limits.pause(failures), after_s)
            yield Wait(min(pause_s, self.limits.longest_pause_s))

    def json(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> Steps[dict[str, Any]]:
        """Make a call and give the object that it answered."""
        reply = yield from self.ask(Call(method, path, body, query))
        return self.told(reply)

    def told(self, reply: Reply) -> dict[str, Any]:
        """The object that was answered."""
        try:
            told: dict[str, Any] = orjson.loads(reply.body)
        except orjson.JSONDecodeError as error:
            raise self._stranger() from error
        return told

    def agents(self) -> Steps[list[dict[str, Any]]]:
        """The agents that workers have announced."""
        found: list[dict[str, Any]] = (yield from self.json("GET", "/api/agents"))["agents"]
        return found

    def _understood(self, call: Call, reply: Reply) -> Reply:
        if call.stream and reply.status == 200 and "event-stream" not in reply.headers.get("content-type", ""):
            raise self._stranger()
        return reply

    def _stranger(self) -> ConfigError:
        return ConfigError(f"what answers at {self.url} is no gateway of chatagent; is a part of its path missing?")

    def _unreached(self, lost: Lost) -> Retryable:
        return Retryable(f"nothing answers at {self.url} ({lost})", after_s=self.limits.pause_s)
