"""Words for JSON Schema 2020-12, the dialect of OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
#: Any JSON value.
ANY: Schema = {}
#: Milliseconds since 1970.
TIME_MS: Schema = {"type": "integer", "description": "ms since 1970"}
DATE: Schema = {"type": "string", "format": "date-time"}
ISO_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
STRING_OR_NULL: Schema = {"type": ["string", "null"]}
OBJECT_OR_NULL: Schema = {"type": ["object", "null"]}


def obj(
    required: Mapping[str, Schema] | None = None,
    optional: Mapping[str, Schema] | None = None,
    *,
    further: bool = True,
    about: str = "",
) -> Schema:
    """An object with these properties; `further` says whether it may hold others."""
    required, optional = required or {}, optional or {}
    found: Schema = {"type": "object", "properties": {**required, **optional}}
    if required:
        found["required"] = list(required)
    if not further:
        found["additionalProperties"] = False
    return {"description": about, **found} if about else found


def array(items: Schema, **limits: Any) -> Schema:
    """A list of such."""
    return {"type": "array", "items": items, **limits}


def integer(least: int | None = None, most: int | None = None, default: int | None = None) -> Schema:
    """A whole number within limits."""
    named = {"minimum": least, "maximum": most, "default": default}
    return {"type": "integer", **{name: value for name, value in named.items() if value is not None}}


def text(least: int = 0, most: int | None = None) -> Schema:
    """A string of so many characters."""
    found: Schema = {"type": "string"}
    if least:
        found["minLength"] = least
    return {**found, "maxLength": most} if most is not None else found


def one_of(values: Collection[str], default: str | None = None) -> Schema:
    """One of these strings."""
    found: Schema = {"type": "string", "enum": list(values)}
    return {**found, "default": default} if default is not None else found


def tag(value: str) -> Schema:
    """Exactly this string."""
    return {"type": "string", "const": value}


def ref(name: str) -> Schema:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def said(schema: Schema, about: str) -> Schema:
    """The same with a description."""
    return {**schema, "description": about}
