"""Log lines for people and for machines: context by `bind`, secrets masked, handlers set up by the apps alone."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Protocol, TextIO

import orjson

_context: ContextVar[Mapping[str, Any]] = ContextVar("chatagent_log_context", default=MappingProxyType({}))

#: Attributes that every record has; what else stands on it came by `extra=`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "context"}
#: Loggers that tell of every request or task at INFO; at DEBUG they may.
_CHATTY = ("httpx", "httpcore", "LiteLLM", "openai", "urllib3", "celery.worker.strategy", "celery.app.trace")
_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}

_SECRETS = (
    re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)([?&](?:token|access_token|api_key|key)=)[^&\s\"']+"),
    re.compile(
        r"(?i)(\b(?:authorization|api[-_]?key|secret[-_]?key|password)[\"']?\s*[:=]\s*[\"']?)(?!bearer\b)[^\s\"',}]{4,}"
    ),
    re.compile(r"(\b(?:sk|rk|pk|tr)[-_])[A-Za-z0-9_-]{12,}"),
    re.compile(r"(\beyJ)[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
    re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"),
)


class LogSettings(Protocol):
    """What `configure` reads of the settings."""

    @property
    def log_level(self) -> str: ...
    @property
    def log_json(self) -> bool: ...
    @property
    def log_color(self) -> str: ...


@contextmanager
def bind(**fields: object) -> Iterator[None]:
    """Put fields (session, turn, agent …) on every line that is logged inside, across `await` too."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def redact(text: str) -> str:
    """The text with tokens, keys and passwords as stars."""
    for pattern in _SECRETS:
        text = pattern.sub(r"\1***", text)
    return text


class ContextFilter(logging.Filter):
    """Keeps what is bound at the call, so that a handler in another thread still knows it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.context = _context.get()
        return True


class HumanFormatter(logging.Formatter):
    """`12:00:01.250 INFO  chatagent.runtime.turn  turn ended  session=… outcome=completed`."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = self._paint(_COLOURS.get(record.levelname, "0"), f"{record.levelname:<7}")
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        parts = (f"{clock}.{int(record.msecs):03}", level, self._paint("2", record.name), record.getMessage())
        line = " ".join(parts) + (f"  {self._paint('36', fields)}" if fields else "")
        return redact("\n".join((line, *_details(self, record))))

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


class JsonFormatter(logging.Formatter):
    """One object a line: `time level logger message`, the bound fields and extras, `error` with the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            **_fields(record),
            "time": round(record.created, 3),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        details = _details(self, record)
        if details:
            entry["error"] = "\n".join(details)
        return orjson.dumps(_clean(entry), default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure(settings: LogSettings, *, stream: TextIO | None = None) -> None:
    """Send the whole process's log to `stream` (standard error), in place of what was set up before."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.addFilter(ContextFilter())
    handler.setFormatter(JsonFormatter() if settings.log_json else HumanFormatter(colour=_coloured(settings, out)))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING if settings.log_level == "INFO" else settings.log_level)


def _coloured(settings: LogSettings, out: TextIO) -> bool:
    if settings.log_color == "auto":
        return out.isatty() and "NO_COLOR" not in os.environ
    return settings.log_color == "always"


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {**getattr(record, "context", {}), **extra}


def _details(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """The traceback and the stack, where the call asked for them."""
    details = []
    if record.exc_info:
        details.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        details.append(formatter.formatStack(record.stack_info))
    return details


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: _clean(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
