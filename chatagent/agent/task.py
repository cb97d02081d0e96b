"""Tasks: functions that run as durable jobs of their own, started from agents, tools, hooks and other tasks."""

from __future__ import annotations

import hashlib
import inspect
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, Literal, NoReturn, TypeAlias, TypeVar, get_type_hints, overload

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from chatagent.agent.agent import AgentKeywords
from chatagent.agent.check import checked_id, first_fault
from chatagent.agent.loop import ChatTaskPayload, CustomAgent
from chatagent.agent.parameter import first_annotation
from chatagent.agent.suggestion import no_option
from chatagent.agent.task_run import current_launcher
from chatagent.child import RESULT_TTL_S, RUN_PREFIX, Ended, NewRun
from chatagent.duration import seconds
from chatagent.errors import BadRequest, ConfigError, TaskFailed, TooLarge
from chatagent.ids import new_id

In = TypeVar("In")
Out = TypeVar("Out")

#: Bytes of JSON that a payload and an output may have.
MAX_BYTES = 1024 * 1024
#: Options that authors write as durations.
_DURATIONS = {"max_duration", "ttl"}
_SECONDS = {f"{name}_s" for name in _DURATIONS}
_TASK_OPTIONS = ("schema", "retry", "max_attempts", "queue", "concurrency_limit", "max_duration", "ttl", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a run is tried (crashes count), and how long it waits in between: twice as long each time."""

    max_attempts: int = 3
    min_s: float = 1.0
    max_s: float = 60.0

    def wait_s(self, attempt: int) -> float:
        """Seconds between a failed attempt (from 1) and the next; a jitter keeps failed runs apart."""
        return min(self.max_s, self.min_s * 2.0 ** (attempt - 1)) * random.uniform(0.75, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """What a task sets for itself; `None` leaves it to the deployment."""

    retry: Retry = field(default_factory=Retry)
    queue: str | None = None
    #: Runs of this task at a time, over all workers.
    concurrency_limit: int | None = None
    max_duration_s: float | None = None
    #: Seconds that a result is kept, and an idempotency key remembered, after the end of the run.
    ttl_s: float = RESULT_TTL_S
    description: str = ""

    @property
    def max_attempts(self) -> int:
        return self.retry.max_attempts


@dataclass(frozen=True, slots=True)
class Handle:
    """A run that was started."""

    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[Out]):
    """How a run ended that gave its output."""

    run_id: str
    output: Out
    error: None = None
    ok: Literal[True] = True

    def unwrap(self) -> Out:
        """The output."""
        return self.output


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """How a run ended that gave none. `error` has `name` and `message`."""

    run_id: str
    error: dict[str, Any]
    output: None = None
    ok: Literal[False] = False

    def unwrap(self) -> NoReturn:
        """Raises: TaskFailed."""
        raise TaskFailed(self.run_id, str(self.error.get("name")), str(self.error.get("message")))


#: How a run ended: where `ok` is true, `output` is there; else `error` is.
Result: TypeAlias = Done[Out] | Failed


class Task(Generic[In, Out]):
    """One task. Its id is the name of its Celery task, so Flower groups runs by task."""

    def __init__(self, id: str, function: Callable[..., Any], *, schema: Any, options: TaskOptions) -> None:
        self.id = checked_id("task", id)
        self.function = function
        self.options = options
        self.schema, self.returned, self._takes_run = _signature(id, function, schema)
        self._input: TypeAdapter[Any] = TypeAdapter(self.schema)
        self._output: TypeAdapter[Any] = TypeAdapter(self.returned)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, here and now."""
        return self.function(*args, **kwargs)

    @property
    def description(self) -> str:
        """What it is for: the option, else its docstring."""
        return self.options.description or inspect.cleandoc(self.function.__doc__ or "")

    async def trigger(self, payload: In, *, idempotency_key: str | None = None) -> Handle:
        """Start a run and go on. A key that was used before finds its run. Raises: BadRequest, TooLarge, StoreDown."""
        run = self.new_run(payload, idempotency_key)
        await current_launcher().start(run)
        return Handle(run.run_id)

    async def trigger_and_wait(self, payload: In, *, idempotency_key: str | None = None) -> Result[Out]:
        """Start a run, or find that of the key, and wait for its end, without holding a slot of the worker.

        A stop of the turn or of the run that waits cancels it. With a key, a wait that is repeated after a crash
        comes back to the same run. Raises: BadRequest, TooLarge.
        """
        run = self.new_run(payload, idempotency_key)
        launcher = current_launcher()
        await launcher.start(run)
        return self.result(run.run_id, await launcher.wait(run.run_id))

    def new_run(self, payload: In, idempotency_key: str | None = None) -> NewRun:
        """A run to be started: its payload checked, its id that of the key. Raises: BadRequest, TooLarge."""
        sent = _to_json(payload, f"the payload of task {self.id!r}")
        self.read_payload(sent)
        tail = new_id("", 24) if idempotency_key is None else _digest(f"{self.id}\0{idempotency_key}")
        options = self.options
        return NewRun(task=self.id, run_id=RUN_PREFIX + tail, payload=sent, queue=options.queue, ttl_s=options.ttl_s)

    def read_payload(self, sent: Any) -> In:
        """A payload as the function takes it. Raises: BadRequest."""
        try:
            value: In = self._input.validate_python(sent)
        except ValidationError as error:
            place, why = first_fault(error, "payload")
            raise BadRequest(f"{why} (task {self.id!r})", field=place) from error
        return value

    def result(self, run_id: str, ended: Ended) -> Result[Out]:
        """How a run ended, its output as what the function is annotated to return (plain JSON if it is not)."""
        if ended.error is not None:
            return Failed(run_id=run_id, error=ended.error)
        try:
            return Done(run_id=run_id, output=self._output.validate_python(ended.output))
        except ValidationError as error:
            message = f"the output of task {self.id!r} is not what it is annotated to return: {error}"
            return Failed(run_id=run_id, error={"name": "OutputMismatch", "message": message})

    def dump_output(self, output: Any) -> bytes:
        """What the function returned, as JSON. Raises: BadRequest for what JSON cannot say, TooLarge."""
        return _dump(output, f"the output of task {self.id!r}")

    def arguments(self, payload: In, run: Any) -> tuple[Any, ...]:
        """What the function is called with."""
        return (payload, run) if self._takes_run else (payload,)


@overload
def task(function: Callable[[ChatTaskPayload], Awaitable[Any]], /) -> CustomAgent: ...
@overload
def task(function: Callable[[In], Awaitable[Out]], /) -> Task[In, Out]: ...
@overload
def task(id: str, **options: Any) -> _Decorator: ...
def task(id: Any, **options: Any) -> Any:
    """Make a function a task: `@task("research", schema=Query)`, `@task("research")`, or `@task`.

    The function takes the payload (its model is `schema`, else the annotation) and, if it wants, the `TaskRun`. A
    plain function runs in a thread. Options: `retry=Retry(…)` or `max_attempts=`, `queue`, `concurrency_limit`,
    `max_duration`, `ttl`, `description`.

    A function whose payload is a `chat.ChatTaskPayload` serves a chat: it is the same as `@chat.custom_agent`, and
    takes its options. Raises: ConfigError.
    """
    if callable(id):
        return _make(id.__name__, id, {})
    if unknown := options.keys() - {*_TASK_OPTIONS, *_SECONDS, *AgentKeywords.__annotations__, "client_data"}:
        raise ConfigError(f"task {id!r} {no_option(min(unknown), _TASK_OPTIONS)}")
    return lambda function: _make(id, function, options)


class _Decorator:
    """The type of `task("…")`, which no object has."""

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[[ChatTaskPayload], Awaitable[Any]], /
    ) -> CustomAgent: ...
    @overload
    def __call__(self, function: Callable[[ChatTaskPayload, Any], Awaitable[Any]], /) -> CustomAgent: ...
    @overload
    def __call__(self, function: Callable[[In], Awaitable[Out]], /) -> Task[In, Out]: ...
    @overload
    def __call__(self, function: Callable[[In, Any], Awaitable[Out]], /) -> Task[In, Out]: ...
    @overload
    def __call__(self, function: Callable[[In], Out], /) -> Task[In, Out]: ...
    @overload
    def __call__(self, function: Callable[[In, Any], Out], /) -> Task[In, Out]: ...
    def __call__(self, function: Any, /) -> Any:
        raise NotImplementedError


def _make(id: str, function: Callable[..., Any], options: dict[str, Any]) -> Task[Any, Any] | CustomAgent:
    """A task; for the payload of a chat a loop over its turns."""
    given = dict(options)
    schema = given.pop("schema", None)
    retry = given.pop("retry", None)
    if retry is not None and not isinstance(retry, Retry):
        raise ConfigError(f"task {id!r}: retry must be a Retry, as in retry=Retry(max_attempts=3)")
    if (schema or first_annotation(function)) is ChatTaskPayload:
        if retry is not None:
            given.setdefault("max_attempts", retry.max_attempts)
        return CustomAgent(id, function, gives_run=True, **given)
    if retry is not None:
        given["retry"] = retry
    return Task(id, function, schema=schema, options=_read_options(id, given))


def _read_options(id: str, given: dict[str, Any]) -> TaskOptions:
    attempts = given.pop("max_attempts", None)
    if attempts is not None:
        given["retry"] = replace(given.get("retry", Retry()), max_attempts=attempts)
    for name in _DURATIONS & given.keys():
        given[f"{name}_s"] = seconds(given.pop(name))
    if unknown := given.keys() - {each.name for each in fields(TaskOptions)}:
        raise ConfigError(f"task {id!r} {no_option(min(unknown), _TASK_OPTIONS)} (it serves no chat)")
    read = TaskOptions(**given)
    if read.queue is not None and not isinstance(read.queue, str):
        raise ConfigError(f"task {id!r}: queue must be the name of a queue; its limit is concurrency_limit=")
    if read.retry.max_attempts < 1 or (read.concurrency_limit is not None and read.concurrency_limit < 1):
        raise ConfigError(f"task {id!r}: max_attempts and concurrency_limit must be 1 or more")
    return read


def _signature(id: str, function: Callable[..., Any], schema: Any) -> tuple[Any, Any, bool]:
    """The types of the payload and of the output, and whether the function takes its run as well."""
    names = list(inspect.signature(function).parameters)
    if not 1 <= len(names) <= 2:
        raise ConfigError(f"task {id!r}: its function takes the payload, and the TaskRun if it wants")
    try:
        hints = get_type_hints(function)
    except NameError as error:
        if schema is None:
            raise ConfigError(f"task {id!r}: {error}; give it schema=, or define its model at module level") from error
        hints = {}
    returned = hints.get("return", Any)
    return (
        hints.get(names[0], Any) if schema is None else schema,
        Any if returned is None else returned,
        len(names) == 2,
    )


def _to_json(value: Any, what: str) -> Any:
    return orjson.loads(_dump(value, what))


def _dump(value: Any, what: str) -> bytes:
    try:
        raw = to_json(value, by_alias=True) if not isinstance(value, BaseModel) else _model(value)
    except (PydanticSerializationError, ValueError) as error:
        raise BadRequest(f"{what} cannot be written as JSON: {error}") from error
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"{what} ({len(raw)} bytes of JSON)", limit_bytes=MAX_BYTES)
    return raw


def _model(value: BaseModel) -> bytes:
    return value.model_dump_json(by_alias=True).encode()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
