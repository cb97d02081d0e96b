"""TypeScript types from JSON schemas, pure: what pydantic says of a model, as a frontend writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
#: Texts and comments, which may hold any character.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|/\*.*?\*/', re.DOTALL)
_SCALARS = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
_WORDS = """
any as async await bigint boolean break case catch class const constructor continue debugger declare
default delete do else enum export extends false finally for from function get if implements import
in infer instanceof interface is keyof let module namespace never new null number object of package
private protected public readonly require return set static string super switch symbol this throw
true try type typeof undefined unique unknown var void while with yield Array Partial Record
UIMessage UIDataTypes UITools
"""
#: Names that a type must not have.
_RESERVED = frozenset(_WORDS.split())
_INDENT = "  "


class TypeScript:
    """Type declarations of one module. Models become types of their name; two of one name are numbered."""

    def __init__(self) -> None:
        self._declared: list[str] = []
        #: What each name stands for: the schema with all that it refers to.
        self._names: dict[str, str] = {}

    @property
    def declarations(self) -> str:
        """All declarations so far, in the order in which they were asked for."""
        return "\n\n".join(self._declared)

    def declare(self, name: str, type_: str, comment: str = "") -> str:
        """Export a type of that name, or of the next that is free; returns it."""
        free = self._free_name(name)
        self._names[free] = ""
        self._declared.append(f"{_comment(comment, '')}export type {free} = {type_};")
        return free

    def type_of(self, schema: Schema) -> str:
        """A type expression for a whole schema with its `$defs`; a model with a title is declared."""
        definitions: Mapping[str, Schema] = schema.get("$defs", {})
        root = {name: value for name, value in schema.items() if name != "$defs"}
        if root.get("title") and "properties" in root:
            return self._named(str(root["title"]), root, definitions)
        return self._expression(root, definitions, "")

    def _named(self, title: str, schema: Schema, definitions: Mapping[str, Schema]) -> str:
        """The name of a model, declared when it is met first."""
        meaning = _closure(schema, definitions)
        for known, other in self._names.items():
            if other == meaning:
                return known
        name = self._free_name(title)
        self._names[name] = meaning
        place = len(self._declared)
        type_ = self._expression(schema, definitions, "")
        self._declared.insert(place, f"{_comment(schema.get('description', ''), '')}export type {name} = {type_};")
        return name

    def _free_name(self, title: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_$]+", "_", title).strip("_") or "Type"
        name = f"_{name}" if name[0].isdigit() else name
        name = f"{name}_" if name in _RESERVED else name
        number, free = 1, name
        while free in self._names:
            number += 1
            free = f"{name}{number}"
        return free

    def _expression(self, schema: Schema | bool, definitions: Mapping[str, Schema], indent: str) -> str:
        if isinstance(schema, bool):
            return "unknown" if schema else "never"
        if "$ref" in schema:
            key = str(schema["$ref"]).removeprefix("#/$defs/")
            key = key.replace("~1", "/").replace("~0", "~")
            found = definitions.get(key)
            return "unknown" if found is None else self._named(str(found.get("title") or key), found, definitions)
        if "const" in schema:
            return _literal(schema["const"])
        if "enum" in schema:
            return _union(map(_literal, schema["enum"]))
        for name in ("anyOf", "oneOf"):
            if name in schema:
                return _union(self._expression(each, definitions, indent) for each in schema[name])
        if "allOf" in schema:
            return " & ".join(_grouped(self._expression(each, definitions, indent)) for each in schema["allOf"])
        kind = schema.get("type")
        if isinstance(kind, list):
            return _union(self._expression({**schema, "type": each}, definitions, indent) for each in kind)
        if kind == "array" or "prefixItems" in schema:
            return self._array(schema, definitions, indent)
        if kind == "object" or "properties" in schema:
            return self._object(schema, definitions, indent)
        return _SCALARS.get(str(kind), "unknown")

    def _array(self, schema: Schema, definitions: Mapping[str, Schema], indent: str) -> str:
        first = [self._expression(each, definitions, indent) for each in schema.get("prefixItems", ())]
        rest = schema.get("items", True)
        more = schema.get("maxItems")
        if not first:
            return "[]" if more == 0 else f"{_grouped(self._expression(rest, definitions, indent))}[]"
        least = schema.get("minItems", 0)
        items = [each if at < least else f"{_grouped(each)}?" for at, each in enumerate(first)]
        if rest is not False and (more is None or more > len(first)):
            items.append(f"...{_grouped(self._expression(rest, definitions, indent))}[]")
        return f"[{', '.join(items)}]"

    def _object(self, schema: Schema, definitions: Mapping[str, Schema], indent: str) -> str:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        rest = schema.get("additionalProperties", not properties)
        if not properties:
            return self._dictionary(schema, rest, definitions, indent)
        inner = indent + _INDENT
        required = schema.get("required", ())
        lines = [
            f"{_comment(_about(each), inner)}{inner}{_key(name)}{'' if name in required else '?'}: "
            f"{self._expression(each, definitions, inner)};\n"
            for name, each in properties.items()
        ]
        if rest is not False:
            # The known properties need not be of the type of the others.
            lines.append(f"{inner}[key: string]: unknown;\n")
        return f"{{\n{''.join(lines)}{indent}}}"

    def _dictionary(self, schema: Schema, rest: Any, definitions: Mapping[str, Schema], indent: str) -> str:
        if rest is False and "patternProperties" not in schema:
            return "{ [key: string]: never }"
        values = [*schema.get("patternProperties", {}).values(), *([] if rest in (True, False) else [rest])]
        value = _union(self._expression(each, definitions, indent) for each in values) if values else "unknown"
        names = schema.get("propertyNames", {})
        if "$ref" in names or "enum" in names or "const" in names:
            return f"{{ [key in {self._expression(names, definitions, indent)}]?: {value} }}"
        return f"{{ [key: string]: {value} }}"


def object_type(properties: Mapping[str, str]) -> str:
    """An object type with these properties, all of them there."""
    if not properties:
        return "{}"
    lines = [f"{_INDENT}{_key(name)}: {_nested(type_)};\n" for name, type_ in properties.items()]
    return f"{{\n{''.join(lines)}}}"


def _nested(type_: str) -> str:
    return type_.replace("\n", f"\n{_INDENT}")


def _closure(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    """The schema and all that it refers to, as text that is the same for the same meaning."""
    reached: dict[str, Any] = {}
    todo: list[Any] = [schema]
    while todo:
        each = todo.pop()
        if isinstance(each, Mapping):
            key = str(each.get("$ref", "")).removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
            if key in definitions and key not in reached:
                reached[key] = definitions[key]
                todo.append(definitions[key])
            todo.extend(each.values())
        elif isinstance(each, list | tuple):
            todo.extend(each)
    return json.dumps([schema, reached], sort_keys=True, default=str)


def _about(schema: Schema | bool) -> str:
    """What a property is for, what it is unless it is given, and how its text is to be read."""
    if isinstance(schema, bool):
        return ""
    lines = [str(schema["description"])] if schema.get("description") else []
    if isinstance(schema.get("format"), str):
        lines.append(f"Format: {schema['format']}")
    if schema.get("default") is not None and not isinstance(schema["default"], dict | list):
        lines.append(f"@default {json.dumps(schema['default'])}")
    return "\n".join(lines)


def _comment(text: str, indent: str) -> str:
    lines = [line.rstrip() for line in text.replace("*/", "*\\/").splitlines() if line.strip()]
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0].strip()} */\n"
    return "".join([f"{indent}/**\n", *(f"{indent} * {line}\n" for line in lines), f"{indent} */\n"])


def _literal(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, str | int | float | bool) else "unknown"


def _union(types: Iterable[str]) -> str:
    """Each type once; one that takes everything, or nothing, settles it."""
    found: Sequence[str] = list(dict.fromkeys(types))
    if "unknown" in found:
        return "unknown"
    return " | ".join(each for each in found if each != "never" or len(found) == 1) or "never"


def _grouped(type_: str) -> str:
    """In brackets where an operator follows."""
    depth = 0
    for char in _QUOTED.sub("", type_):
        depth += (char in "{[(") - (char in "}])")
        if depth == 0 and char in "|&":
            return f"({type_})"
    return type_


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name)
