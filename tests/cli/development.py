"""A real `chatagent dev` for tests: started in a folder of its own, watched by its output, ended by its pid."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from tests.loopback import LOOPBACK
from tests.stack import REPOSITORY, Process, free_port

#: An agent that needs no model, so that no test waits for litellm.
AGENT = """
from chatagent import chat

@chat.agent("parrot")
async def parrot(turn):
    yield "You said: "
    yield turn.ui_messages[-1]["parts"][0]["text"]
"""
#: Seconds for everything to be ended, on a busy machine.
_END_S = 60.0
_READY = re.compile(r"^chatagent ready  (http://127\.0\.0\.1:\d+)/$", re.MULTILINE)


class Development:
    """One `chatagent dev`."""

    def __init__(self, folder: Path, *args: str, env: Mapping[str, str] | None = None, port: int = 0) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.process = Process(
            [sys.executable, "-m", "chatagent.cli", "dev", *args, "--port", str(self.port), "--no-open"],
            env={"PYTHONPATH": str(REPOSITORY), "CHATAGENT_WARM_UP": "0", **(env or {})},
            cwd=folder,
            output=folder / f"dev-{self.port}.log",
        )
        self.url = f"http://127.0.0.1:{self.port}"
        self._started: set[psutil.Process] = set()

    def wait_ready(self) -> None:
        """Return when the ready line is there."""
        found = self.process.wait_for(lambda: _READY.search(self.log()), "the ready line")
        assert found is not None and found[1] == self.url
        self.note_children()

    def log(self) -> str:
        return self.process.log()

    def wait_log(self, pattern: str) -> None:
        """Return when the output matches."""
        self.process.wait_for(lambda: re.search(pattern, self.log()), f"{pattern!r} in the output")

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """Send the signal and give the exit code."""
        self.note_children()
        self.process.send(how)
        return self.wait_end()

    def wait_end(self) -> int:
        """The exit code, once it ended by itself; fails with its output."""
        deadline = time.monotonic() + _END_S
        while (code := self.process.exit_code) is None:
            assert time.monotonic() < deadline, f"did not end within {_END_S:g} s\n{self.log()}"
            time.sleep(0.02)
        return code

    def note_children(self) -> None:
        """Remember what runs below us now; `orphans` looks for it later."""
        if self.process.exit_code is None:
            self._started.update(psutil.Process(self.process.pid).children(recursive=True))

    def orphans(self, patience_s: float = 10.0) -> list[str]:
        """What still runs of all that we ever noted, after a little patience."""
        deadline = time.monotonic() + patience_s
        while (left := [child for child in self._started if _runs(child)]) and time.monotonic() < deadline:
            time.sleep(0.02)
        return [" ".join(child.cmdline()) for child in left]

    def child(self, *words: str) -> psutil.Process:
        """The direct child whose command holds all the words."""
        for child in psutil.Process(self.process.pid).children():
            if all(word in " ".join(child.cmdline()) for word in words):
                return child
        raise AssertionError(f"no child with {words}:\n{self.log()}")

    def healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5, **LOOPBACK).status_code == 200
        except httpx.HTTPError:
            return False

    def ask(self, text: str, *, agent: str | None = None) -> str:
        """Send one message to a new chat, as the page does, and give the text of the answer."""
        with httpx.Client(base_url=self.url, timeout=60, **LOOPBACK) as client:
            token = client.post("/api/playground/token").raise_for_status().json()["token"]
            message = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": text}]}
            body = {"id": f"chat-{time.time_ns()}", "messages": [message], "trigger": "submit-message"}
            answer = client.post(
                "/api/chat",
                params={"agent": agent} if agent else None,
                json=body,
                headers={"Authorization": f"Bearer {token}"},
            )
        answer.raise_for_status()
        return "".join(re.findall(r'"type":"text-delta".*?"delta":"((?:[^"\\]|\\.)*)"', answer.text))

    def close(self) -> None:
        """End it and all that it started, whatever the test did."""
        self.note_children()
        self.process.kill()
        for child in self._started:
            if _runs(child):
                child.kill()
        self.process.close()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
