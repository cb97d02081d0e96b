"""What both colours of the client share about httpx: settings, requests, and text out of chunks."""

from __future__ import annotations

import ipaddress
import ssl
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from chatagent.client.gateway import Gateway, Limits
from chatagent.client.want import Call, Chunk
from chatagent.errors import ChatAgentError
from chatagent.ui.utf16 import whole

#: Failures after which the gateway cannot have got the request.
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def settings(url: str, limits: Limits, *, keep_alive: bool = True) -> dict[str, Any]:
    """How to make a client of httpx; a gateway on this machine is not asked by way of a proxy."""
    timeout = httpx.Timeout(limits.call_s, connect=limits.connect_s, pool=limits.connect_s)
    pool = httpx.Limits(max_connections=None, max_keepalive_connections=20 if keep_alive else 0)
    trust_env = not on_this_machine(url)
    return {"timeout": timeout, "limits": pool, "trust_env": trust_env, "verify": _certificates(trust_env)}


@cache
def _certificates(trust_env: bool) -> ssl.SSLContext:
    """Whom to trust. Read once: it takes 25 ms of CPU, and a web app may make a client for each of its requests."""
    return httpx.create_ssl_context(trust_env=trust_env)


def request(http: httpx.Client | httpx.AsyncClient, gateway: Gateway, call: Call) -> httpx.Request:
    """The request of a call."""
    limits = gateway.limits
    headers = {"Accept": "text/event-stream, application/json", **call.headers}
    if call.token is not None:
        headers["Authorization"] = f"Bearer {call.token}"
    read_s = limits.read_s if call.stream else limits.call_s
    timeout = httpx.Timeout(limits.call_s, connect=limits.connect_s, read=read_s, pool=limits.connect_s)
    return http.build_request(
        call.method,
        f"{gateway.url}{call.path}",
        json=call.body,
        params=dict(call.query) or None,
        headers=headers,
        timeout=timeout,
    )


class TextReader:
    """The text of chunks. A character that was split over two of them comes with the second."""

    def __init__(self) -> None:
        self._half = ""

    def read(self, chunk: Chunk) -> str:
        """What this chunk adds. Raises: ChatAgentError for the one that tells a failure."""
        if chunk["type"] == "error":
            raise ChatAgentError(str(chunk.get("errorText")))
        if chunk["type"] != "text-delta":
            return ""
        text = whole(self._half + str(chunk["delta"]))
        self._half = text[-1:] if "\ud800" <= text[-1:] < "\udc00" else ""
        return text[:-1] if self._half else text


def on_this_machine(url: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
