"""Typed data parts and metadata: what an agent writes is checked against its models before clients see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from chatagent.agent.check import first_fault
from chatagent.errors import ConfigError
from chatagent.ui import as_json
from chatagent.ui.merge import merge_metadata

Chunk = dict[str, Any]

_PREFIX = "data-"
#: Data parts that chatagent itself writes; they have no model, and no agent may give them one.
OWN_PARTS = frozenset({"turn-end", "pending-message-injected", "background-injected", "compacted"})
#: Chunks that carry metadata.
_WITH_METADATA = frozenset({"start", "finish", "message-metadata"})


class DataParts:
    """The models of an agent's `data-<name>` parts, by name, and of its messages' metadata.

    A model is whatever pydantic validates: a `BaseModel`, a dataclass, a `TypedDict`, `list[int]`. With none declared
    everything passes, and models given as values are still dumped.
    """

    def __init__(self, models: Mapping[str, Any] | None = None, *, metadata: Any = None) -> None:
        for name in models or {}:
            if name in OWN_PARTS or name.startswith(_PREFIX) or not name:
                raise ConfigError(f"data part {name!r}: use the name after 'data-', and none of {sorted(OWN_PARTS)}")
        self._parts = None if models is None else {name: _adapter(name, model) for name, model in models.items()}
        self._metadata = None if metadata is None else _adapter("metadata", metadata)

    def check(self, chunk: Mapping[str, Any], *, metadata: Any = None) -> Chunk:
        """The chunk as it may be written: its data (or metadata) validated, and dumped to JSON.

        `metadata` is what the message has so far: clients validate what comes out of merging, so that is checked.
        Raises: ConfigError that says what is wrong, since only the agent's own code can be.
        """
        kind = chunk.get("type")
        if isinstance(kind, str) and kind.startswith(_PREFIX):
            return self._checked_data(kind.removeprefix(_PREFIX), dict(chunk))
        if kind in _WITH_METADATA and chunk.get("messageMetadata") is not None:
            return self._checked_metadata(dict(chunk), metadata)
        return chunk if isinstance(chunk, dict) else dict(chunk)

    def _checked_data(self, name: str, chunk: Chunk) -> Chunk:
        if self._parts is None or name in OWN_PARTS:
            return {**chunk, "data": _plain(chunk.get("data"))}
        adapter = self._parts.get(name)
        if adapter is None:
            known = ", ".join(sorted(self._parts)) or "none"
            raise ConfigError(f"data-{name}: no such data part is declared (there are: {known}); add it to data_parts")
        chunk["data"] = _checked(adapter, chunk.get("data"), f"data-{name}", f"data_parts[{name!r}]")
        return chunk

    def _checked_metadata(self, chunk: Chunk, before: Any) -> Chunk:
        given = _plain(chunk["messageMetadata"], only_set=True)
        if self._metadata is not None:
            _checked(
                self._metadata, merge_metadata(before, given), f"metadata of {chunk['type']}", "message_metadata_schema"
            )
        return {**chunk, "messageMetadata": given}


def _adapter(name: str, model: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(model)
    except PydanticUserError as error:
        raise ConfigError(
            f"data part {name!r}: {model!r} is no type that pydantic validates: {error.message}"
        ) from error


def _plain(value: Any, *, only_set: bool = False) -> Any:
    """A copy as JSON has it: what the author does with the value afterwards changes nothing that was written.

    `only_set` leaves out of a model what would overwrite by a default. Raises: BadRequest for what JSON cannot say.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True, exclude_unset=only_set)
    return as_json(value)


def _checked(adapter: TypeAdapter[Any], value: Any, what: str, where: str) -> Any:
    try:
        return adapter.dump_python(adapter.validate_python(value), mode="json", by_alias=True)
    except ValidationError as error:
        place, why = first_fault(error)
        reason = f"{place}: {why}" if place else why
        raise ConfigError(f"{what}: {reason}; write what {where} says, or change the model") from error
