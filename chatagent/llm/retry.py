"""When and after how long a failed model call is tried again."""

from __future__ import annotations

import random

from chatagent.llm.error import ModelError

#: Seconds before the first retry; doubles with every further one.
BASE_S = 0.5
#: Longest wait that we choose ourselves.
CAP_S = 8.0
#: Longest wait that a provider may ask for; one that asks for more has failed.
PATIENCE_S = 60.0


def backoff_s(attempt: int, error: ModelError, *, jitter: float | None = None) -> float | None:
    """Seconds to wait after failed attempt number `attempt` (from 0); `None` when trying again makes no sense.

    `jitter` in 0…1 is drawn when not given: half of the wait is random, so that workers do not come back together.
    """
    if not error.retryable:
        return None
    if error.retry_after_s is not None:
        return error.retry_after_s if error.retry_after_s <= PATIENCE_S else None
    share = random.random() if jitter is None else jitter
    return min(CAP_S, BASE_S * 2.0**attempt) * (0.5 + 0.5 * share)
