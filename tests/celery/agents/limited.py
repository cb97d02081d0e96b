from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from chatagent import chat


@chat.agent("limited", concurrency_limit=2)
def limited(turn: chat.Turn[Any]) -> str:
    """Notes when it begins and ends."""
    running = Path(os.environ["RUNNING"])
    with running.open("a") as file:
        file.write("+")
    time.sleep(0.1)
    with running.open("a") as file:
        file.write("-")
    return "done"
