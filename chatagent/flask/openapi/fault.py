"""Errors as responses, in our shape and in OpenAI's. Statuses and codes are those of `chatagent.errors`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from chatagent import errors
from chatagent.flask.openai.error import AnswerFailed, ModelNotFound
from chatagent.flask.openapi.schema import STRING, STRING_OR_NULL, Schema, obj, one_of, ref

Shape = Literal["ours", "openai"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a call fails."""

    status: int
    code: str
    about: str


def _of(error: type[errors.ChatAgentError], about: str) -> Fault:
    return Fault(error.status, error.code, about)


BAD_REQUEST = _of(errors.BadRequest, "Not JSON, or a wrong field, which `field` names.")
UNAUTHORIZED = _of(errors.Unauthorized, "No token, an expired one, or one that is not ours.")
FORBIDDEN = _of(errors.Forbidden, "A token without the scope, or a page of an origin that is not allowed.")
NOT_FOUND = _of(errors.NotFound, "No such chat, message or agent; also for a token that cannot start the chat.")
CLOSED = _of(errors.Closed, "The chat was closed for good.")
BUSY = _of(errors.Busy, "The chat answers another message, and `busy` is `reject`.")
CONFLICT = Fault(409, "conflict", "Nothing is being answered now.")
TOO_LARGE = _of(errors.TooLarge, "The body is over the limit.")
UNPROCESSABLE = Fault(422, "unprocessable_entity", "What is asked for cannot be changed.")
UNAVAILABLE = _of(errors.Retryable, "Redis is away, no worker has come yet, or too many messages wait.")
MODEL_NOT_FOUND = _of(ModelNotFound, "No agent has this name.")
ANSWER_FAILED = _of(AnswerFailed, "The agent failed; the same request again tries again.")


def fault_responses(faults: Iterable[Fault], shape: Shape) -> dict[str, Any]:
    """Responses by status. Faults of one status share a response, which lists their codes."""
    by_status: dict[int, list[Fault]] = {}
    for fault in sorted(set(faults), key=lambda each: (each.status, each.code)):
        by_status.setdefault(fault.status, []).append(fault)
    return {str(status): _response(found, shape) for status, found in by_status.items()}


def _response(faults: list[Fault], shape: Shape) -> dict[str, Any]:
    codes = [fault.code for fault in faults]
    if shape == "openai":
        codes = ["invalid_api_key" if fault.status == 401 else fault.code for fault in faults]
        schema = {"allOf": [ref("OpenAIError"), obj({"error": obj({"code": one_of(codes)})})]}
    else:
        schema = {"allOf": [ref("Error"), obj({"code": one_of(codes)})]}
    found: dict[str, Any] = {
        "description": " ".join(dict.fromkeys(fault.about for fault in faults)),
        "content": {"application/json": {"schema": schema}},
    }
    headers = _headers(faults)
    return {**found, "headers": headers} if headers else found


def _headers(faults: list[Fault]) -> dict[str, Any]:
    match faults[0].status:
        case 401:
            return {"WWW-Authenticate": _header("The kind of token that is wanted.", required=True)}
        case 503:
            return {"Retry-After": _header("Seconds after which to try again.", required=True, kind="integer")}
        case 409 if CLOSED in faults:
            return {"x-should-retry": _header("`false` for a closed chat: the same call cannot succeed.")}
    return {}


def _header(about: str, *, required: bool = False, kind: str = "string") -> dict[str, Any]:
    return {"description": about, "required": required, "schema": {"type": kind}}


def fault_schemas() -> dict[str, Schema]:
    """Both shapes of an error."""
    ours = obj(
        {"error": STRING, "code": STRING},
        {"field": STRING, "closedReason": STRING_OR_NULL},
        about="An error: a sentence that says the mend, and a name for programs.",
    )
    detail = obj({"message": STRING, "type": STRING, "param": STRING_OR_NULL, "code": STRING_OR_NULL})
    return {"Error": ours, "OpenAIError": obj({"error": detail}, about="An error as OpenAI's clients read it.")}
