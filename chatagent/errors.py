"""The errors that chatagent raises, grouped by what the caller can do about them.

ChatAgentError
├─ BadRequest         the caller's fault: answer 400, close 1008    (.field, .reason)
│  └─ TooLarge        over a limit: answer 413                      (.limit_bytes)
├─ Unauthorized       no valid token: answer 401
├─ Forbidden          a valid token without the right: answer 403
├─ NotFound           no such chat, agent or page: answer 404
├─ Closed             the session was closed: answer 409            (.closed_reason)
├─ Busy               a turn runs and the agent takes one message at a time: answer 409
├─ Retryable          try again later: answer 503                   (.after_s)
│  └─ StoreDown       Redis does not answer
├─ LeaseLost          stop and say nothing: another worker has the turn
├─ TaskFailed         a task that was waited for ended without output (.run_id, .name)
├─ AbortTaskRun       raised by a task: end as failed, try no more
├─ TurnTimeout        a turn took longer than its agent allows
├─ StreamError        a chunk that cannot be folded                 (.chunk_type, .chunk_id)
└─ ConfigError        a setting or an agent that cannot work        (says the mend)
"""

from __future__ import annotations

#: Told to clients in place of an exception's own words.
MASKED_ERROR = "An error occurred."


class ChatAgentError(Exception):
    """Any error of chatagent; `str()` is safe to show to the caller."""

    #: HTTP status that a door answers with.
    status = 500
    #: Stable machine-readable name in error bodies.
    code = "error"


class BadRequest(ChatAgentError):
    """The request cannot be understood; the message names the field and the mend."""

    status = 400
    code = "bad_request"

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class TooLarge(BadRequest):
    """A body, frame or message is over its limit."""

    status = 413
    code = "too_large"

    def __init__(self, what: str, *, limit_bytes: int | None) -> None:
        size = "a server on the way allows" if limit_bytes is None else f"{limit_bytes} bytes"
        super().__init__(f"{what} is larger than {size}; send less or raise the limit")
        self.limit_bytes = limit_bytes


class Unauthorized(ChatAgentError):
    """There is no token, or it is expired or not ours."""

    status = 401
    code = "unauthorized"


class Forbidden(ChatAgentError):
    """The token is valid but does not carry the scope."""

    status = 403
    code = "forbidden"


class NotFound(ChatAgentError):
    """No such chat, session or agent."""

    status = 404
    code = "not_found"


class Closed(ChatAgentError):
    """The session was closed for good; start another chat."""

    status = 409
    code = "session_closed"

    def __init__(self, closed_reason: str | None = None) -> None:
        super().__init__("the session is closed; start a new chat")
        self.closed_reason = closed_reason


class Busy(ChatAgentError):
    """The chat is busy and rejects messages meanwhile; send again when its answer has ended."""

    status = 409
    code = "busy"


class Retryable(ChatAgentError):
    """Nothing was written; the same call may succeed later."""

    status = 503
    code = "unavailable"

    def __init__(self, message: str, *, after_s: float = 1.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class StoreDown(Retryable):
    """Redis does not answer."""


class LeaseLost(ChatAgentError):
    """Another worker holds the session now; whoever gets this stops and writes nothing."""


class TurnTimeout(ChatAgentError):
    """A turn, or the run of a task, took longer than its `max_duration`."""

    code = "timeout"

    def __init__(self, max_duration_s: float) -> None:
        super().__init__(f"this took longer than the {max_duration_s:g} s that it may take")


class StreamError(ChatAgentError):
    """A chunk does not fit the message it is folded into (AI SDK: `UIMessageStreamError`)."""

    code = "stream_error"

    def __init__(self, message: str, *, chunk_type: str, chunk_id: str | None = None) -> None:
        super().__init__(message)
        self.chunk_type = chunk_type
        self.chunk_id = chunk_id


class TaskFailed(ChatAgentError):
    """A task that was waited for failed or was cancelled."""

    code = "task_failed"

    def __init__(self, run_id: str, name: str, message: str) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.name = name


class AbortTaskRun(ChatAgentError):
    """Raised by the function of a task: the run fails with this message and is not tried again."""

    code = "aborted"


class ConfigError(ChatAgentError):
    """A setting, an agent or a tool is declared in a way that cannot work."""

    code = "config_error"
