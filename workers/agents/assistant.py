"""The smallest agent: a model, and nothing else."""

from __future__ import annotations

from chatagent import chat, stream_text
from chatagent.llm import StreamTextResult


@chat.agent("assistant", examples=["What is chatagent?", "How do I mount it into my Flask app?"])
async def assistant(turn: chat.Turn[None]) -> StreamTextResult:
    """Answers questions."""
    return stream_text(turn.model, turn.messages, system="You are a helpful assistant. Answer briefly.")
