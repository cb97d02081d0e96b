"""The chats of a person or a tag over HTTP: a page of them, or server-sent events that go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import orjson
from flask import Blueprint, Response, request

from chatagent.errors import StoreDown
from chatagent.flask.answer import EVENT_STREAM, json_response
from chatagent.flask.feed import RETRY_S
from chatagent.flask.gateway import Gateway
from chatagent.flask.overview import Overview, Update, page, read_listing
from chatagent.flask.token import Identity


def register(blueprint: Blueprint, gateway: Gateway) -> None:
    """Add the routes to a blueprint."""

    @blueprint.get("/api/chats")
    def chats() -> Response:
        """One page: `{chats, cursor}`, last active first."""
        identity = gateway.access.identify(request)
        update = page(gateway.backend, read_listing(request.args, identity))
        return json_response({"chats": update.chats, "cursor": update.cursor})

    @blueprint.get("/api/chats/feed")
    def chats_feed() -> Response:
        """Event `chats` with a page, then event `chat` for each change; a page again when changes were missed."""
        identity = gateway.access.identify(request)
        listing, wake = read_listing(request.args, identity), threading.Event()
        overview = Overview(gateway.backend, listing, wake)
        response = Response(_events(gateway, overview, wake, identity), headers=EVENT_STREAM)
        # A stream that nobody iterates must let go of its channel too.
        response.call_on_close(overview.close)
        return response


def _events(gateway: Gateway, overview: Overview, wake: threading.Event, identity: Identity) -> Iterator[bytes]:
    """Ends when the token does, or our process."""
    departure, keepalive_s = gateway.departure, gateway.options.keepalive_s
    try:
        yield b": stream-open\n\n"
        with departure.heeded(wake):
            while not identity.expired and not departure.begun:
                wake.clear()
                try:
                    update, timeout_s = overview.take(), keepalive_s
                except StoreDown:
                    update, timeout_s = None, RETRY_S
                if update is not None:
                    yield _encode(update)
                elif not departure.wait(wake, min(timeout_s, identity.left_s())) and timeout_s == keepalive_s:
                    yield b": keep-alive\n\n"
    finally:
        overview.close()


def _encode(update: Update) -> bytes:
    if update.whole:
        return _event(b"chats", {"chats": update.chats, "cursor": update.cursor})
    return b"".join(_event(b"chat", chat) for chat in update.chats)


def _event(name: bytes, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, orjson.dumps(data))
