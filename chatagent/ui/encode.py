"""Chunks as bytes, encoded once: what the worker writes is what every client reads.

JSON as the strictest client takes it: no NaN, no `null` where the protocol has an optional field, no keys that
JavaScript's parsers refuse. Values beyond JSON: dates are ISO 8601, UUIDs and Decimals strings, enums their values,
dataclasses and pydantic models objects, sets sorted lists where they can be sorted, bytes base64. Integers beyond
2^53 are written in full; JavaScript reads them rounded.
"""

from __future__ import annotations

import base64
import json
import math
from decimal import Decimal
from typing import Any

import orjson
from pydantic import BaseModel

from chatagent.errors import BadRequest

Chunk = dict[str, Any]

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
#: Fields in which `null` is data.
_UNKNOWN = ("input", "output", "data", "messageMetadata", "approvalDescriptor", "inputSchemaInput")
#: Only strings under fixed names: encoded without a look inside.
_PLAIN = ("text-delta", "reasoning-delta", "tool-input-delta")


def encode(chunk: Chunk) -> bytes:
    """One chunk (or message) as a line of JSON; `type` comes first.

    Raises: BadRequest for values that JSON cannot say.
    """
    if chunk.get("type") in _PLAIN and len(chunk) == 3:
        try:
            return orjson.dumps(chunk if next(iter(chunk)) == "type" else _type_first(chunk))
        except TypeError:
            return _dump(_type_first(chunk))
    present = {name: value for name, value in chunk.items() if value is not None or name in _UNKNOWN}
    return _dump(_type_first(present))


def encode_value(value: Any) -> bytes:
    """Any value as JSON, by the same rules. Raises: BadRequest."""
    return _dump(value)


def decode(raw: bytes | str) -> dict[str, Any]:
    """What `encode` wrote, also where orjson alone refuses it (half a character in a delta). Raises: ValueError."""
    try:
        value: dict[str, Any] = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = json.loads(raw)
    return value


def _type_first(chunk: Chunk) -> Chunk:
    return {"type": chunk["type"], **chunk} if "type" in chunk else chunk


def _dump(value: Any) -> bytes:
    clean = _clean(value)
    try:
        return orjson.dumps(clean, _default, _OPTIONS)
    except TypeError as error:
        return _dump_slowly(clean, error)


def _dump_slowly(value: Any, cause: Exception) -> bytes:
    """What orjson refuses and JavaScript takes: lone surrogates (half an emoji) and integers beyond 64 bits."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_default).encode("ascii")
    except (TypeError, ValueError) as error:
        raise BadRequest(f"a chunk holds what JSON cannot say: {cause}; convert it first") from error


def _default(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, set | frozenset):
        try:
            return sorted(value)
        except TypeError:
            return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def _clean(value: Any) -> Any:
    """Refuse NaN (orjson would write null) and drop keys that JavaScript's parsers refuse."""
    if isinstance(value, dict):
        return {
            key: _clean(item)
            for key, item in value.items()
            if key != "__proto__" and not (key == "constructor" and isinstance(item, dict) and "prototype" in item)
        }
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise BadRequest("NaN and Infinity are not JSON; send null or a string")
    return value
