"""The `Turn` that an author's code is handed, and the answer that it writes, made from a claim."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from chatagent.agent import Agent, RunContext, Turn
from chatagent.ids import new_id
from chatagent.runtime.attempt import Attempt
from chatagent.runtime.control import TurnControl
from chatagent.runtime.model_view import ModelView
from chatagent.runtime.port import Claim
from chatagent.runtime.response import Response
from chatagent.runtime.run import Run
from chatagent.runtime.writer import TurnLog
from chatagent.signal import AbortController, AbortSignal

logger = logging.getLogger(__name__)


def new_turn(
    claim: Claim,
    agent: Agent[Any],
    run: Run,
    control: TurnControl,
    view: ModelView,
    *,
    model: str,
    stop: AbortController,
    cancel: AbortController,
) -> Turn[Any]:
    """A turn without messages, tools and client data, which are known later. `model` is for agents that name none."""
    record = claim.record
    context = RunContext(
        agent=agent.id,
        session_id=claim.session_id,
        run_id=run.run_id,
        attempt=claim.attempt,
        user=claim.user,
        tags=claim.tags,
        metadata=claim.metadata,
    )
    return Turn(
        chat_id=claim.chat_id,
        session_id=claim.session_id,
        run_id=run.run_id,
        number=claim.turn,
        trigger=record.trigger if record.kind == "message" else record.kind,
        client_data=None,
        messages=[],
        tools={},
        model=agent.options.model or model,
        signal=AbortSignal.any(stop.signal, cancel.signal),
        stop_signal=stop.signal,
        cancel_signal=cancel.signal,
        to_model_messages=view.plain,
        control=control,
        ctx=context,
        message_id=record.payload.get("messageId"),
        body=record.payload.get("body") or {},
        metadata=record.payload.get("metadata", claim.metadata),
        user=claim.user,
        tags=claim.tags,
        attempt=claim.attempt,
        continuation=run.continuation,
        previous_run_id=run.previous_run_id,
        preloaded=run.preloaded,
        previous_turn_usage=run.previous_usage,
        total_usage=dict(claim.usage),
    )


def open_response(claim: Claim, agent: Agent[Any], attempt: Attempt, log: TurnLog) -> Response:
    """The answer: a new one, or the one that is gone on with."""
    make_id = agent.options.stream_options.get("generate_message_id")
    if attempt.initial is not None:
        message_id = str(attempt.initial["id"])
    else:
        message_id = new_id("msg_") if make_id is None else _made(make_id)
    return Response(
        message_id,
        attempt.initial,
        log,
        open_step=attempt.open_step,
        started=attempt.resumed,
        bare=claim.record.kind == "preload",
        parts=agent.parts,
    )


def _made(make_id: Callable[[], str]) -> str:
    """An id of the author's; one of ours where there is none, since a turn cannot even fail without."""
    try:
        made = make_id()
    except Exception:
        logger.exception("generate_message_id failed")
        return new_id("msg_")
    if isinstance(made, str) and made:
        return made
    logger.error("generate_message_id must return a text, not %r", made)
    return new_id("msg_")
