"""What an author's function takes: looked at where it is decorated, so that a wrong one is told before the first
message comes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from chatagent.errors import ConfigError

_COLLECTS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def check_takes(function: Callable[..., Any], given: str, what: str, second: inspect.Parameter | None = None) -> None:
    """Make sure that `function` can be called with what is `given`: one argument, and a `second` if there is one.

    Raises: ConfigError.
    """
    if not callable(function):
        raise ConfigError(f"{what} must be a function, not a {type(function).__name__}")
    signature = _signature(function)
    if signature is None:
        return
    by_name = second is not None and second.kind is second.KEYWORD_ONLY
    places = [None] if second is None or by_name else [None, None]
    try:
        signature.bind(*places, **({second.name: None} if second is not None and by_name else {}))
    except TypeError as error:
        name = getattr(function, "__name__", type(function).__name__)
        raise ConfigError(f"{what}: the function takes {given}, and not as in {name}{signature}: {error}") from error


def second_parameter(function: Callable[..., Any]) -> inspect.Parameter | None:
    """What `function` takes beside its first parameter, by place or by name; None for nothing."""
    signature = _signature(function)
    others = [] if signature is None else list(signature.parameters.values())[1:]
    return next((each for each in others if each.kind not in _COLLECTS), None)


def annotation(function: Callable[..., Any], name: str) -> Any:
    """What a parameter is annotated with; None when it is not, or when that is not known here."""
    try:
        return get_type_hints(function).get(name)
    except (NameError, TypeError):
        return None


def first_annotation(function: Callable[..., Any]) -> Any:
    """What the first parameter is annotated with."""
    signature = _signature(function)
    names = [] if signature is None else list(signature.parameters)
    return annotation(function, names[0]) if names else None


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:
        # Some builtins do not tell.
        return None
