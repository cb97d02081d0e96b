"""What a mounted gateway may be told."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Options:
    """Limits and names of one gateway."""

    #: Agent of a new chat that names none; None: the only one there is.
    default_agent: str | None = None
    #: Origins of pages, besides the gateway's own, that may use it; "*" is any.
    allowed_origins: tuple[str, ...] = ()
    #: Anyone on this machine gets a token.
    dev: bool = False
    #: Seconds a token of a chat is valid.
    token_ttl_s: int = 3600
    #: Largest HTTP request and largest WebSocket message of a client.
    max_body_bytes: int = 8 * MIB
    max_frame_bytes: int = 8 * MIB
    #: Seconds between comments on an SSE stream that has nothing to say.
    keepalive_s: float = 10.0
    #: Seconds between pings on a WebSocket; a peer that is silent for two of them is dropped.
    ping_interval_s: float = 25.0
    #: Seconds within which a WebSocket must show a token.
    auth_timeout_s: float = 10.0
    #: Chats that one WebSocket may follow at once.
    max_requests: int = 100
    #: Serve the playground page.
    ui: bool = True
    title: str = "chatagent"
