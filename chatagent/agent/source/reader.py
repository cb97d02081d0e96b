"""One stream of whatever pieces: each goes to the reader that knows its kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from chatagent.agent.source.completion import CompletionReader
from chatagent.agent.source.langchain import LangChainReader
from chatagent.agent.source.pydantic_ai import PydanticAiReader
from chatagent.agent.source.responses import ResponsesReader
from chatagent.agent.source.snapshot import SnapshotReader
from chatagent.agent.source.writer import Chunk, OnUsage, Writer
from chatagent.errors import ConfigError


class PieceReader(Protocol):
    """Reads pieces of one kind."""

    def add(self, piece: Any) -> None:
        """Write one piece."""

    def close(self) -> None:
        """The stream is over."""


class Reader:
    """Turns the pieces of one stream into chunks. Foreign types are known by what they look like, never imported."""

    def __init__(self, *, waiting_calls: Collection[str] = (), on_usage: OnUsage | None = None) -> None:
        self._writer = Writer(waiting_calls=waiting_calls, on_usage=on_usage)
        self._readers: dict[str, PieceReader] = {}
        #: Kinds of the types that were seen; mappings and tuples are looked at one by one.
        self._kinds: dict[type, str] = {}

    def add(self, piece: Any) -> list[Chunk]:
        """The chunks that `piece` gives. Raises: ConfigError, SourceFailed."""
        self._read(piece)
        return self._writer.take()

    def interrupt(self) -> list[Chunk]:
        """The chunks that end open text: something else stands behind it."""
        self._writer.end_parts()
        return self._writer.take()

    def close(self) -> list[Chunk]:
        """The chunks that end what is open."""
        for reader in self._readers.values():
            reader.close()
        self._writer.close()
        return self._writer.take()

    def _read(self, piece: Any) -> None:
        if isinstance(piece, str):
            self._writer.text(piece)
        elif isinstance(piece, Mapping) and isinstance(piece.get("type"), str):
            self._writer.chunk(dict(piece))
        else:
            self._reader(piece).add(piece)

    def _reader(self, piece: Any) -> PieceReader:
        kind = self._kinds.get(type(piece)) or _kind(piece)
        if not isinstance(piece, Mapping | tuple):
            self._kinds[type(piece)] = kind
        if kind not in self._readers:
            self._readers[kind] = self._make(kind)
        return self._readers[kind]

    def _make(self, kind: str) -> PieceReader:
        match kind:
            case "completion":
                return CompletionReader(self._writer)
            case "responses":
                return ResponsesReader(self._writer)
            case "pydantic-ai":
                return PydanticAiReader(self._writer)
            case "snapshot":
                return SnapshotReader(self._writer)
        return LangChainReader(self._writer, self._read)


_KINDS = {
    "snapshot": SnapshotReader.reads,
    "completion": CompletionReader.reads,
    "pydantic-ai": PydanticAiReader.reads,
    "responses": ResponsesReader.reads,
    "langchain": LangChainReader.reads,
}


def _kind(piece: Any) -> str:
    for kind, reads in _KINDS.items():
        if reads(piece):
            return kind
    raise ConfigError(
        f"a stream gave a {type(piece).__name__}: it should give str, chunks, or what the streams of litellm, OpenAI, "
        "pydantic-ai, LangChain or LangGraph give"
    )
