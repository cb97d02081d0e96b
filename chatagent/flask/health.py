"""Whether this deployment can answer: Redis, the broker, and at least one live worker, each asked with a time limit."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from chatagent.errors import ChatAgentError

logger = logging.getLogger(__name__)

#: Seconds that one check may take, and that its result is good for.
LIMIT_S = 2.0
FRESH_S = 1.0

#: Gives what a check found, for people; raises when it is not well.
Check = Callable[[], object]


class Health:
    """Runs the checks, at most once a second however often it is asked, and never more than one of a kind at once."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._lock = threading.Lock()
        self._pending: dict[str, _Probe] = {}
        self._result: tuple[float, dict[str, Any]] = (0.0, {})

    def report(self) -> dict[str, Any]:
        """`{"ok": …, "<check>": {"ok": …, "detail" or "error": …, "ms": …}}`."""
        with self._lock:
            at_s, report = self._result
            if not report or time.monotonic() - at_s > FRESH_S:
                report = self._run()
                self._result = (time.monotonic(), report)
        return report

    def _run(self) -> dict[str, Any]:
        deadline_s = time.monotonic() + LIMIT_S
        for name, check in self._checks.items():
            # A check that hangs is not started again: its thread still waits.
            if name not in self._pending or self._pending[name].done.is_set():
                self._pending[name] = _Probe(name, check)
        found = {}
        for name, probe in self._pending.items():
            probe.done.wait(max(0.0, deadline_s - time.monotonic()))
            found[name] = probe.result if probe.done.is_set() else {"ok": False, "error": f"silent for {LIMIT_S:.0f} s"}
        return {"ok": all(result["ok"] for result in found.values()), **found}


class _Probe:
    """One run of one check, on its own thread."""

    def __init__(self, name: str, check: Check) -> None:
        self.done = threading.Event()
        self.result: dict[str, Any] = {}
        self._name = name
        self._check = check
        threading.Thread(target=self._run, name=f"chatagent-health-{name}", daemon=True).start()

    def _run(self) -> None:
        start_s = time.monotonic()
        try:
            detail = self._check()
            self.result = {"ok": True} if detail is None else {"ok": True, "detail": detail}
        except Exception as error:
            # Errors of our own say all there is; of others the place matters, too.
            known = isinstance(error, ChatAgentError)
            logger.warning("unhealthy: %s", error if known else self._name, exc_info=None if known else error)
            # The name of the error alone: its text may hold addresses and passwords.
            self.result = {"ok": False, "error": type(error).__name__}
        self.result["ms"] = round((time.monotonic() - start_s) * 1000, 1)
        self.done.set()
