"""The parts of a message and where its current step begins: what most chunks of tools refer to."""

from __future__ import annotations

from typing import Any

Part = dict[str, Any]


class Steps:
    """A message's parts, changed in place; the current step is what follows the last `step-start`."""

    __slots__ = ("begin", "parts")

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        starts = [at for at, part in enumerate(parts) if part.get("type") == "step-start"]
        #: Place of the first part of the current step.
        self.begin = starts[-1] + 1 if starts else 0

    def current(self) -> list[Part]:
        """The parts of the current step: all parts when no step was started."""
        return self.parts[self.begin :]

    def start(self) -> None:
        """Begin a step."""
        self.parts.append({"type": "step-start"})
        self.begin = len(self.parts)

    def reset(self) -> list[Part]:
        """Remove the parts of the current step, but not its start; says which."""
        removed = self.current()
        del self.parts[self.begin :]
        return removed
