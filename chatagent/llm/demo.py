"""placeholder"""

from typing import Any


def register(litellm: Any) -> None:
    """."""
