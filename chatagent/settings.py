"""Every setting, once: `CHATAGENT_<NAME>` in the environment. Read by the apps and the command line only.

`chatagent settings` lists them. Below the apps nothing reads the environment: values are passed down.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "CHATAGENT_"
#: Shortest secret that HMAC-SHA256 takes without losing strength (RFC 7518 §3.2), in characters.
MIN_SECRET = 32

_STATE: JsonDict = {"group": "State and queue"}
_TURN: JsonDict = {"group": "Turns"}
_DOOR: JsonDict = {"group": "Doors"}
_PAGE: JsonDict = {"group": "Agents and page"}
_LOG: JsonDict = {"group": "Process"}


class Settings(BaseSettings):
    """What a deployment may choose; unset values are the defaults below."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        validation_alias=AliasChoices("CHATAGENT_REDIS_URL", "REDIS_URL"),
        pattern=r"^(redis|rediss|unix)://",
        description="Redis that holds the chats (redis://, rediss:// or unix://)",
        json_schema_extra=_STATE,
    )
    broker_url: str | None = Field(
        None,
        validation_alias=AliasChoices("CHATAGENT_BROKER_URL", "CELERY_BROKER_URL"),
        description="Celery's broker; unset: the same Redis",
        json_schema_extra=_STATE,
    )
    prefix: str = Field(
        "chatagent",
        pattern=r"^[A-Za-z0-9._-]+$",
        max_length=64,
        description="how every Redis key starts; one per deployment",
        json_schema_extra=_STATE,
    )
    queue: str = Field(
        "turns",
        pattern=r"^[A-Za-z0-9._-]+$",
        max_length=64,
        description="Celery queue of agents that name none",
        json_schema_extra=_STATE,
    )
    durability: Literal["memory", "disk", "replica"] = Field(
        "memory",
        description="what a send waits for: Redis' memory, its disk (WAITAOF, Redis >= 7.2) or a replica (WAIT)",
        json_schema_extra=_STATE,
    )

    lease_s: float = Field(
        15.0, ge=1, le=600, description="seconds a silent worker keeps its chat", json_schema_extra=_TURN
    )
    heartbeat_s: float | None = Field(
        None,
        gt=0,
        le=300,
        description="seconds between renewals of a lease; unset: a third of it",
        json_schema_extra=_TURN,
    )
    sweep_s: float = Field(
        2.0, ge=0.1, le=60, description="seconds between looks for dead leases and lost tasks", json_schema_extra=_TURN
    )
    claim_grace_s: float = Field(
        5.0,
        ge=0.5,
        le=600,
        description="seconds until a queued task that did not come is sent again",
        json_schema_extra=_TURN,
    )
    idle_timeout_s: float = Field(
        30.0,
        ge=0,
        le=86_400,
        description="seconds a chat stays warm in its worker after a turn",
        json_schema_extra=_TURN,
    )
    turn_timeout_s: float = Field(
        3600.0,
        ge=1,
        le=604_800,
        description="seconds without a message after which a run ends",
        json_schema_extra=_TURN,
    )
    max_attempts: int = Field(
        3, ge=1, le=100, description="times a turn is tried before it is committed as failed", json_schema_extra=_TURN
    )
    grace_s: float = Field(
        25.0, ge=0, le=3600, description="seconds that running turns get when a worker stops", json_schema_extra=_TURN
    )
    concurrency: int = Field(
        100, ge=1, le=10_000, description="turns that one worker process runs at once", json_schema_extra=_TURN
    )
    max_chunk_kb: int = Field(
        1024, ge=1, le=65_536, description="largest chunk that an agent may emit, in KiB", json_schema_extra=_TURN
    )

    url: str = Field(
        "http://127.0.0.1:8000",
        pattern=r"^https?://",
        description="address of the gateway for `chatagent.sessions` in workers, apps and scripts",
        json_schema_extra=_DOOR,
    )
    secret_key: SecretStr | None = Field(
        None,
        description=f"signs session tokens and is the servers' key (>= {MIN_SECRET} characters); needed unless dev",
        json_schema_extra=_DOOR,
    )
    dev: bool = Field(
        False, description="development: anyone on this machine may chat and gets a token", json_schema_extra=_DOOR
    )
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins of pages that may connect besides our own, comma-separated", json_schema_extra=_DOOR
    )
    token_ttl_s: int = Field(
        3600, ge=10, le=31_536_000, description="seconds a session token is valid", json_schema_extra=_DOOR
    )
    max_body_mb: float = Field(8.0, gt=0, le=1024, description="largest HTTP request, in MiB", json_schema_extra=_DOOR)
    max_frame_kb: int = Field(
        8192, ge=1, le=1_048_576, description="largest WebSocket message of a client, in KiB", json_schema_extra=_DOOR
    )

    default_agent: str | None = Field(
        None, description="agent of a new chat that names none; unset: the only one", json_schema_extra=_PAGE
    )
    model: str = Field(
        "demo/assistant", min_length=1, description="litellm model of the shipped agents", json_schema_extra=_PAGE
    )
    warm_up: bool = Field(
        True,
        description="import litellm when a worker starts (5 s of CPU, 180 MB), not with its first model call",
        json_schema_extra=_PAGE,
    )
    ui: bool = Field(True, description="serve the playground page", json_schema_extra=_PAGE)
    title: str = Field("chatagent", max_length=100, description="name on the page", json_schema_extra=_PAGE)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="least level that is logged", json_schema_extra=_LOG
    )
    log_json: bool = Field(False, description="log one JSON object a line", json_schema_extra=_LOG)
    log_color: Literal["auto", "always", "never"] = Field(
        "auto", description="colours in the log; auto: on a terminal", json_schema_extra=_LOG
    )
    data_dir: Path = Field(
        Path(".chatagent"), description="where `chatagent dev` keeps its Redis and its secret", json_schema_extra=_LOG
    )

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("secret_key")
    @classmethod
    def _long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_SECRET:
            raise ValueError(f"needs at least {MIN_SECRET} characters, for example from `openssl rand -hex 32`")
        return value

    @model_validator(mode="after")
    def _beats_within_the_lease(self) -> Self:
        if self.heartbeat_s is not None and self.heartbeat_s >= self.lease_s:
            raise ValueError("heartbeat_s must be less than lease_s, or a lease lapses between two renewals")
        return self


@dataclass(frozen=True, slots=True)
class Described:
    """One setting as `chatagent settings` shows it; secrets are masked."""

    name: str
    group: str
    env: tuple[str, ...]
    value: str
    default: str
    description: str
    given: bool


def described(settings: Settings) -> Iterator[Described]:
    """Every setting in the order of the class."""
    for name, info in Settings.model_fields.items():
        extra = info.json_schema_extra
        yield Described(
            name=name,
            group=str(extra["group"]) if isinstance(extra, dict) else "",
            env=_env_names(name, info),
            value=masked(getattr(settings, name)),
            default=masked(info.default),
            description=info.description or "",
            given=name in settings.model_fields_set,
        )


def unknown_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """`CHATAGENT_*` variables that no setting reads, each with the closest name that one does."""
    known = [env for name, info in Settings.model_fields.items() for env in _env_names(name, info)]
    names = {env.removeprefix(PREFIX): env for env in known if env.startswith(PREFIX)}
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in known:
            close = difflib.get_close_matches(variable.removeprefix(PREFIX), names, 1)
            yield variable, names[close[0]] if close else None


def masked(value: object) -> str:
    """A value for people's eyes: secrets and passwords in URLs are stars."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    text = str(value)
    parts = urlsplit(text) if "://" in text else None
    if parts is None or not parts.password:
        return text
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:********@{place}"))


def _env_names(name: str, info: FieldInfo) -> tuple[str, ...]:
    if isinstance(info.validation_alias, AliasChoices):
        return tuple(str(choice) for choice in info.validation_alias.choices)
    return (PREFIX + name.upper(),)
