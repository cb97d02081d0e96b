"""What the echo agent is told to do: a message whose text is a JSON list of steps. Pure; used by tests and agent.

    message(say(5), hold(gate), say(5))     five words, a wait until the file `gate` exists, five more words

Words count through the message (`w0 w1 …`), so a lost or repeated one shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Step = dict[str, Any]


def message(*steps: Step) -> str:
    """The text of a message that asks for these steps."""
    return json.dumps(steps)


def say(words: int, *, every_ms: int = 0) -> Step:
    """Give so many words, each a chunk of its own, with a pause before each."""
    return {"say": words, "every_ms": every_ms}


def hold(gate: Path) -> Step:
    """Go on when the file `gate` exists."""
    return {"hold": str(gate)}


def note(file: Path, line: str) -> Step:
    """Append a line to a file: a side effect that can be counted."""
    return {"note": str(file), "line": line}


def part(chunk: dict[str, Any]) -> Step:
    """Write a chunk as it is."""
    return {"part": chunk}


def die() -> Step:
    """Kill the worker process."""
    return {"die": True}


def fail(reason: str) -> Step:
    """Raise."""
    return {"fail": reason}


def words(count: int, *, first: int = 0) -> str:
    """What `say` gives."""
    return "".join(f"w{number} " for number in range(first, first + count))


def read_steps(text: str) -> list[Step]:
    """The steps that a text asks for; any other text is said back."""
    if not text.startswith("["):
        return [{"text": f"You said: {text}"}]
    steps: list[Step] = json.loads(text)
    return steps
