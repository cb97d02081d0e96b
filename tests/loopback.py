"""How tests reach a server on this machine with httpx."""

from __future__ import annotations

from typing import Any

#: Options of httpx: no proxy, and no certificates, since reading them takes 25 ms of CPU whenever a client is made.
LOOPBACK: dict[str, Any] = {"trust_env": False, "verify": False}
