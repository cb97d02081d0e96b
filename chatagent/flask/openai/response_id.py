"""Ids of responses: they say where in which session the answer is, so nothing is stored for them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import orjson

from chatagent.errors import NotFound
from chatagent.redis.session import ID_PREFIX

_PREFIX = "resp_"
_SESSION_LEN = 24


@dataclass(frozen=True, slots=True)
class Place:
    """The answer to inbox record `seq` of a session, a message with `message_id`.

    `parts` is how many parts the answer's message had before, when the record goes on with that message; else -1.
    """

    session_id: str
    seq: int
    parts: int
    message_id: str
    created_s: int


def response_id(place: Place) -> str:
    """The id of the response at this place."""
    told = orjson.dumps([place.seq, place.parts, place.message_id, place.created_s])
    return _PREFIX + place.session_id.removeprefix(ID_PREFIX) + base64.urlsafe_b64encode(told).decode().rstrip("=")


def read_response_id(name: str) -> Place:
    """Where a response is. Raises: NotFound for an id that is not ours."""
    told = name.removeprefix(_PREFIX)
    session, rest = told[:_SESSION_LEN], told[_SESSION_LEN:]
    try:
        seq, parts, message_id, created_s = orjson.loads(base64.urlsafe_b64decode(rest + "=" * (-len(rest) % 4)))
        place = Place(ID_PREFIX + session, int(seq), int(parts), str(message_id), int(created_s))
    except (ValueError, TypeError, binascii.Error) as error:
        raise NotFound(f"there is no response {name!r}") from error
    if not name.startswith(_PREFIX) or response_id(place) != name:
        raise NotFound(f"there is no response {name!r}")
    return place
