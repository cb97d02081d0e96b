"""Chunks as bytes, encoded once: what the worker writes is what every client reads.

JSON as the strictest client takes it (AI SDK reference §2.1, §2.2): no NaN, no `null` where the protocol has an
optional field, no keys that JavaScript's parsers refuse (`__proto__`, a `constructor` that is null or has a
`prototype`). Values beyond JSON: dates are ISO 8601, UUIDs and Decimals strings, enums their values, dataclasses and
pydantic models objects, sets sorted lists where they can be sorted, bytes base64, keys strings. Integers beyond 2^53
are written in full; JavaScript reads them rounded. Half a character (one of two UTF-16 units) is written as its
escape, so that a character may be split over two deltas.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import date, time
from typing import Any
from uuid import UUID

import orjson
from pydantic_core import PydanticSerializationError, to_jsonable_python

from chatagent.errors import BadRequest

Chunk = dict[str, Any]

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
#: Fields in which `null` is data.
_FREE_FIELDS = ("input", "output", "data", "messageMetadata", "approvalDescriptor", "inputSchemaInput")
#: Only strings under fixed names: encoded without a look inside.
_PLAIN = ("text-delta", "reasoning-delta", "tool-input-delta")
#: Output without these needs no second look; orjson writes NaN as null.
_SUSPECT = (b"null", b"__proto__", b'"constructor"')
_REFUSED = ("__proto__", "constructor")
_SCALARS = (str, int, bool, type(None))
#: More levels than any parser is happy with.
_TOO_DEEP = "nested too deeply, or in itself"


def encode(chunk: Chunk) -> bytes:
    """One chunk (or message) as a line of JSON; `type` comes first.

    Raises: BadRequest for values that JSON cannot say.
    """
    kind = chunk.get("type")
    if kind in _PLAIN and len(chunk) == 3:
        first, second, third = chunk.values()
        if first is kind and type(second) is str and type(third) is str:
            try:
                return orjson.dumps(chunk)
            except TypeError:
                return _dump_slowly(chunk)
    present = without_nulls(chunk)
    return _dump({"type": kind, **present} if kind is not None else present)


def without_nulls(chunk: Mapping[str, Any]) -> Chunk:
    """The fields that say something: in optional ones `None` stands for nothing, in free ones it is data."""
    return {name: value for name, value in chunk.items() if value is not None or name in _FREE_FIELDS}


def encode_value(value: Any) -> bytes:
    """Any value as JSON, by the same rules. Raises: BadRequest."""
    return _dump(value)


def decode(raw: bytes | str) -> dict[str, Any]:
    """What `encode` wrote, also where orjson alone refuses it (half a character in a delta). Raises: ValueError."""
    try:
        value: dict[str, Any] = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            value = json.loads(raw)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    return value


def as_json(value: Any) -> Any:
    """A copy of any value as JSON has it, by the rules of `encode`. Raises: BadRequest for what JSON cannot say."""
    if value is None or type(value) in (str, bool, int):
        return value
    return decode(encode_value(value))


def _dump(value: Any) -> bytes:
    try:
        raw = orjson.dumps(value, _plain, _OPTIONS)
    except TypeError:
        return _dump_slowly(value)
    suspicious = any(suspect in raw for suspect in _SUSPECT) and not _is_harmless(value)
    return _dump_slowly(value) if suspicious else raw


def _is_harmless(value: Any) -> bool:
    """Whether all that made the output suspicious is None in plain dicts and lists."""
    kind = type(value)
    if kind is dict:
        if not all(type(name) is str and name not in _REFUSED for name in value):
            return False
        value = value.values()
    elif kind is not list:
        return kind in _SCALARS or (kind is float and math.isfinite(value))
    return all(type(item) in _SCALARS or _is_harmless(item) for item in value)


def _dump_slowly(value: Any) -> bytes:
    """With a look at each value, and with what orjson refuses: half characters, integers beyond 64 bits."""
    try:
        clean = _clean(value)
        try:
            return orjson.dumps(clean)
        except TypeError:
            return json.dumps(clean, allow_nan=False, separators=(",", ":")).encode("ascii")
    except RecursionError as error:
        raise BadRequest(f"a chunk holds what JSON cannot say: {_TOO_DEEP}") from error
    except (TypeError, ValueError) as error:
        raise BadRequest(f"a chunk holds what JSON cannot say: {error}; convert it first") from error


def _clean(value: Any) -> Any:
    """`value` in plain dicts, lists and scalars, without keys that clients refuse. Raises: ValueError for NaN."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("NaN or Infinity; send null or a string")
        return float(value)
    if isinstance(value, Mapping):
        return _clean_object(value)
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, date | time | UUID):
        return orjson.loads(orjson.dumps(value))
    return _clean(_plain(value))


def _clean_object(value: Mapping[Any, Any]) -> dict[str, Any]:
    found = {name if isinstance(name, str) else _key(name): item for name, item in value.items()}
    made_by = found.get("constructor", "")
    if made_by is None or (isinstance(made_by, Mapping) and "prototype" in made_by):
        del found["constructor"]
    return {name: _clean(item) for name, item in found.items() if name != "__proto__"}


def _key(name: Any) -> str:
    """A key as orjson writes it."""
    if isinstance(name, float) and not math.isfinite(name):
        raise ValueError("NaN or Infinity as a key")
    key: str = next(iter(orjson.loads(orjson.dumps({name: 0}, option=_OPTIONS))))
    return key


def _plain(value: Any) -> Any:
    """A value that JSON has no form for as one that it has. Raises: TypeError."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, set | frozenset):
        try:
            return sorted(value)
        except TypeError:
            return list(value)
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        return to_list()
    try:
        return to_jsonable_python(value, inf_nan_mode="constants")
    except PydanticSerializationError as error:
        raise TypeError(f"{type(value).__name__} is not JSON serializable") from error
