"""One model call with its retries and fallbacks, as long as the client has seen nothing of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from chatagent.llm.error import ModelError
from chatagent.llm.provider import ModelRequest, open_stream
from chatagent.llm.retry import backoff_s
from chatagent.llm.stand_in import current_stand_in
from chatagent.llm.step import StepWriter

logger = logging.getLogger(__name__)

#: A provider that is faster than we read must not keep the loop from the other turns: litellm takes about a
#: millisecond of CPU per delta, and does not suspend while the socket's buffer is full.
DELTAS_PER_SLICE = 16


@dataclass(slots=True)
class Outcome:
    """How a model call went. `opened`: the provider began to answer, so the failure is one of the stream."""

    model: str
    error: ModelError | None = None
    opened: bool = False


async def call_model(
    request: ModelRequest, writer: StepWriter, *, max_retries: int, fallbacks: Sequence[str]
) -> Outcome:
    """Write the model's answer. A failure is returned, not raised; a cancellation closes the connection."""
    outcome = Outcome(request.model)
    for model, attempt in _attempts(request.model, fallbacks, max_retries):
        if outcome.error is not None:
            if attempt and not await _wait(attempt - 1, outcome.error):
                continue
            logger.warning("model call failed, next try: %s", model, extra={"error": str(outcome.error)})
        outcome = Outcome(model)
        try:
            await _read(replace(request, model=model), writer, outcome)
        except ModelError as error:
            outcome.error = error
        if outcome.error is None or writer.emitted:
            break
    return outcome


def _attempts(model: str, fallbacks: Sequence[str], max_retries: int) -> Iterator[tuple[str, int]]:
    for name in (model, *fallbacks):
        for attempt in range(max_retries + 1):
            yield name, attempt


async def _wait(attempt: int, error: ModelError) -> bool:
    """Wait before the same model is asked again; False when that makes no sense."""
    pause_s = backoff_s(attempt, error)
    if pause_s is None:
        return False
    await asyncio.sleep(pause_s)
    return True


async def _read(request: ModelRequest, writer: StepWriter, outcome: Outcome) -> None:
    stand_in = current_stand_in()
    opening = open_stream(request) if stand_in is None else stand_in.open_stream(request)
    async with aclosing(await opening) as stream:
        outcome.opened = True
        async with aclosing(stream.deltas()) as deltas:
            count = 0
            async for delta in deltas:
                writer.add(delta)
                count += 1
                if count % DELTAS_PER_SLICE == 0:
                    await asyncio.sleep(0)
    if writer.finish_reason is None and not writer.emitted:
        raise ModelError("Response stream ended without a finish reason.", retryable=True)
