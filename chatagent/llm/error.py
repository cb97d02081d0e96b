"""What can go wrong between the model, its tools and us.

Unlike the errors of `chatagent.errors`, their text comes from providers and tools: it is for the model, for logs and
for `on_error`, and is shown to clients only where `StreamOptions` says so. The names in front of the texts are those
of the AI SDK, so that a stored message reads the same whichever server wrote it.

    ModelError             the provider refused, broke off or sent nonsense   (.status_code, .retryable, .retry_after_s)
    NoSuchTool             the model called a tool that it was not offered
    InvalidToolInput       the arguments are no JSON, or not what the tool takes
    ToolChoiceViolation    the model called a tool, or none, against `tool_choice`
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from chatagent.errors import MASKED_ERROR

logger = logging.getLogger(__name__)


class ModelError(Exception):
    """A model call failed; `str()` is the provider's own message, `__cause__` the library's exception."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class NoSuchTool(Exception):
    """The model called a tool that it was not offered."""

    name = "AI_NoSuchToolError"

    def __init__(self, tool_name: str, offered: Iterable[str]) -> None:
        names = ", ".join(offered)
        hint = f"Available tools: {names}." if names else "No tools are available."
        super().__init__(f"Model tried to call unavailable tool '{tool_name}'. {hint}")
        self.tool_name = tool_name


class InvalidToolInput(Exception):
    """The arguments of a call cannot be read; the model is told why and may try again."""

    name = "AI_InvalidToolInputError"

    def __init__(self, tool_name: str, why: str) -> None:
        super().__init__(f"Invalid input for tool {tool_name}: {why}")
        self.tool_name = tool_name


class ToolChoiceViolation(Exception):
    """The model did not do what `tool_choice` demands."""

    name = "AI_ToolChoiceViolationError"


class ToldError(Exception):
    """The error of a call that was answered earlier: of it only the text is left."""


def describe(error: BaseException) -> str:
    """An error as the model reads it: its kind and its message."""
    text = str(error)
    if isinstance(error, ToldError):
        return text
    kind = error.name if isinstance(error, _NAMED) else type(error).__name__
    return f"{kind}: {text}" if text else kind


def words_of(on_error: Callable[[BaseException], str], error: BaseException) -> str:
    """The author's text for an error; masked when `on_error` fails or gives no text (only logs it, say)."""
    try:
        words = on_error(error)
    except Exception:
        logger.exception("on_error failed")
        return MASKED_ERROR
    if not isinstance(words, str):
        logger.error("on_error must return the text that clients see, not %r", words)
        return MASKED_ERROR
    return words


_NAMED = (NoSuchTool, InvalidToolInput, ToolChoiceViolation)
