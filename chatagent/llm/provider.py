"""The door to model providers, and the only module that knows litellm."""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

from chatagent.llm import demo
from chatagent.llm.citation import sources
from chatagent.llm.delta import CallDelta, Delta
from chatagent.llm.error import ModelError
from chatagent.llm.usage import Usage, from_openai

logger = logging.getLogger(__name__)

#: litellm reads these while it is imported: no price list from the network, no guard that takes a hundred equal
#: chunks for a broken model, no debug output. What the deployment has set stays.
_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "REPEATED_STREAMING_CHUNK_LIMIT": "1000000",
    "LITELLM_LOG": "ERROR",
}
#: Statuses after which the same request may succeed; every 5xx as well.
_RETRYABLE = (408, 409, 429)
#: Providers that refuse signed reasoning of others.
_STRICT = ("openai", "azure")
#: What providers say for OpenAI's `stop`; litellm says `stop` for whatever it does not know, too.
_STOPS = {"stop", "stop_sequence", "end_turn", "eos", "eos_token", "complete"}
_MISSING: Any = object()


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """What one model call is given; `params` are litellm's own (`temperature`, `api_base`, `timeout`, …)."""

    model: str
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


@cache
def load() -> ModuleType:
    """litellm, imported on the first call: seconds of CPU and 180 MB, so workers only, and never by an import."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        # pydantic warns about the types of litellm when it first builds them, which is nothing that we could mend.
        warnings.simplefilter("ignore")
        # An import inside a function, against the rule: see the first line, and the environment must be set before.
        import litellm  # noqa: PLC0415

        litellm.ModelResponseStream(choices=[{"index": 0, "delta": {"content": ""}}])
        litellm.ModelResponse()
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    demo.register(litellm)
    return litellm


async def close_clients() -> None:
    """Close the connections that litellm keeps open to providers; to be called before their loop ends."""
    if load.cache_info().currsize:
        await load().close_litellm_async_clients()


class ModelStream:
    """An open model call: read its deltas, then `aclose()`, which closes the connection if the answer is not over."""

    def __init__(self, response: Any, model: str) -> None:
        self._response = response
        self._model = model

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """The answer, piece by piece; the last one has the finish reason (if there is one) and the usage.

        Raises: ModelError when the stream breaks off or the provider reports an error inside it.
        """
        finish: str | None = None
        try:
            async for chunk in self._response:
                if not chunk.choices:
                    continue
                choice = chunk.choices[0]
                if choice.finish_reason is not None:
                    finish = choice.finish_reason
                delta = read_delta(choice.delta)
                if pages := _pages(chunk):
                    delta.chunks = [*delta.chunks, *pages]
                yield delta
        except Exception as error:
            raise model_error(error) from error
        yield Delta(finish_reason=self._finish_reason(finish), usage=self._usage())

    async def aclose(self) -> None:
        """Close the connection to the provider."""
        await self._response.aclose()

    def _finish_reason(self, mapped: str | None) -> str | None:
        """The provider's reason in OpenAI's words. litellm makes a `stop` of none and of unknown ones."""
        sent = getattr(self._response, "received_finish_reason", _MISSING)
        if sent is _MISSING or sent is None:
            return None if sent is None else mapped
        if mapped == "stop" and str(sent).lower() not in _STOPS:
            return str(sent)
        return mapped or str(sent)

    def _usage(self) -> Usage | None:
        """What the provider reported; litellm's own estimates are left out."""
        for chunk in reversed(getattr(self._response, "chunks", ())):
            usage = getattr(chunk, "usage", None)
            if usage is not None:
                return from_openai(usage, _cost_usd(self._model, usage))
        return None


async def open_stream(request: ModelRequest) -> ModelStream:
    """Start a model call. Raises: ModelError when the provider refuses it or cannot be reached."""
    # In a thread, so that the other turns of the process go on meanwhile; a worker loads it before its first turn.
    litellm = await asyncio.to_thread(load) if not load.cache_info().currsize else load()
    options: dict[str, Any] = {"stream_options": {"include_usage": True}, **request.params}
    if request.tools:
        options["tools"] = _copy(request.tools)
        options["tool_choice"] = request.tool_choice or "auto"
    try:
        # Retries are ours (see retry.py): only we know whether the client has seen something already.
        response = await litellm.acompletion(
            model=request.model, messages=outgoing(request), stream=True, max_retries=0, num_retries=0, **options
        )
    except Exception as error:
        raise model_error(error) from error
    return ModelStream(response, request.model)


def read_delta(delta: Any) -> Delta:
    """One delta of litellm in our form. Reads the fields as a dict: an attribute that is missing costs 2 µs each."""
    fields = {**vars(delta), **(delta.model_extra or {})}
    found = Delta(fields.get("content"), fields.get("reasoning_content"))
    if calls := fields.get("tool_calls"):
        found.calls = [_read_call(each) for each in calls]
    if blocks := fields.get("thinking_blocks"):
        found.thinking_blocks = [dict(block) for block in blocks]
    cited = (fields.get("provider_specific_fields") or {}).get("citation")
    if (annotations := fields.get("annotations")) or cited:
        found.chunks = sources(annotations or (), citation=cited)
    if images := fields.get("images"):
        found.chunks = [*found.chunks, *_files(images)]
    return found


def model_error(error: Exception) -> ModelError:
    """An exception of litellm or below as ours, with the provider's own message where there is one."""
    status = getattr(error, "status_code", None)
    message, retry_after = "", None
    cause: BaseException | None = error
    while cause is not None:
        body = getattr(cause, "body", None)
        if not message and isinstance(body, dict) and isinstance(body.get("message"), str):
            message = body["message"]
        headers = getattr(getattr(cause, "response", None), "headers", None) or {}
        retry_after = retry_after or _seconds(headers.get("retry-after"))
        cause = cause.__cause__ or cause.__context__
    known = status if isinstance(status, int) else None
    retryable = known is None or known >= 500 or known in _RETRYABLE
    return ModelError(message or str(error), status_code=known, retryable=retryable, retry_after_s=retry_after)


def outgoing(request: ModelRequest) -> list[dict[str, Any]]:
    """The conversation; what Anthropic signed is not for OpenAI, which refuses fields that it does not know."""
    copied: list[dict[str, Any]] = _copy(list(request.messages))
    if request.model.partition("/")[0] in _STRICT and "api_base" not in request.params:
        for message in copied:
            message.pop("thinking_blocks", None)
    return copied


def _copy(value: Any) -> Any:
    """Dicts and lists of our own: litellm changes what it is given (it takes `cache_control` out, for one)."""
    if isinstance(value, Mapping):
        return {name: _copy(each) for name, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list | tuple) else value


def _read_call(call: Any) -> CallDelta:
    function = call.function
    extra = getattr(call, "provider_specific_fields", None)
    return CallDelta(call.index or 0, call.id, function.name, function.arguments, extra)


def _pages(chunk: Any) -> list[dict[str, Any]]:
    """The pages that some providers list beside the answer."""
    extra = chunk.model_extra or {}
    citations, results = extra.get("citations"), extra.get("search_results")
    return sources(citations=citations or (), results=results or ()) if citations or results else []


def _files(images: Any) -> list[dict[str, Any]]:
    found = []
    for image in images:
        url = (dict(image).get("image_url") or {}).get("url", "")
        if url.startswith("data:"):
            found.append({"type": "file", "url": url, "mediaType": url[5:].partition(";")[0]})
    return found


def _cost_usd(model: str, usage: Any) -> float | None:
    """What the provider says, else litellm's table; `None` for a model that is not in it."""
    told = getattr(usage, "cost", None)
    if isinstance(told, int | float):
        return float(told)
    litellm = load()
    name = model if model in litellm.model_cost else model.partition("/")[2]
    if name not in litellm.model_cost:
        return None
    try:
        prompt, completion = litellm.cost_per_token(model=model, usage_object=usage)
    except Exception:
        logger.warning("cost could not be told", exc_info=True, extra={"model": model})
        return None
    return float(prompt + completion)


def _seconds(value: Any) -> float | None:
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return None
