"""Runs programs as children: their lines on our console, started again when they die, all gone when we go."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from chatagent.cli.console import Console
from chatagent.errors import ChatAgentError

#: What a program exits with when starting it again would not help: wrong use, a broken agent file or setting.
EXIT_HOPELESS = 2
#: Seconds before the first and at most before a later restart; a program that lived this long starts afresh.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 30.0
#: Bytes of one line of output.
_LINE_LIMIT = 1024 * 1024
#: Seconds for the output of an ended program to be read, and for a killed one to be gone.
_DRAIN_S = 2.0
_KILL_S = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how long it may take to end."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 10.0


class Child:
    """One supervised program, in a process group of its own so that the terminal's Ctrl-C reaches only us."""

    def __init__(self, program: Program, console: Console) -> None:
        self.program = program
        #: How often it was started again.
        self.restarts = 0
        self._console = console
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def keep(self) -> int:
        """Run it until `stop`, again after every death; returns the exit code when it stopped or is hopeless."""
        pause_s = _FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set() or code == EXIT_HOPELESS:
                return code
            if time.monotonic() - started >= _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            self._say(f"{describe_exit(code)}; starting it again in {pause_s:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
                return code
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            self.restarts += 1

    async def stop(self, hurry: asyncio.Event) -> None:
        """End it with SIGTERM; with SIGKILL when it takes longer than allowed or somebody is in a hurry."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        patience = asyncio.create_task(hurry.wait())
        ended = asyncio.create_task(process.wait())
        await asyncio.wait({patience, ended}, timeout=self.program.stop_s, return_when=asyncio.FIRST_COMPLETED)
        patience.cancel()
        if not ended.done():
            self._say("did not end in time and is killed")
            self._kill_group(process.pid)
        with suppress(TimeoutError):
            await asyncio.wait_for(ended, _KILL_S)

    async def _run_once(self) -> int:
        self._process = process = await asyncio.create_subprocess_exec(
            *self.program.argv,
            env={**os.environ, **self.program.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LINE_LIMIT,
            start_new_session=True,
            preexec_fn=end_with_parent(),
        )
        assert process.stdout is not None
        reading = asyncio.create_task(self._read(process.stdout))
        code = await process.wait()
        self._kill_group(process.pid)  # what it left behind would keep its ports and the pipe
        await asyncio.wait({reading}, timeout=_DRAIN_S)
        reading.cancel()
        return code

    async def _read(self, output: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await output.readline()
            except ValueError:  # longer than the limit: the reader dropped it
                self._say("(a line of more than 1 MiB was left out)")
                continue
            if not line:
                return
            self._say(line.decode(errors="replace").rstrip())

    def _say(self, text: str) -> None:
        self._console.say(text, name=self.program.name)

    def _kill_group(self, pid: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


class Supervisor:
    """Keeps children running until a signal, a hopeless child or the end of a watcher; then ends all of them."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()

    async def run(self, groups: Sequence[Sequence[Child]], watchers: Sequence[Coroutine[Any, Any, None]] = ()) -> int:
        """Run all children, then stop group after group. Returns 0 after a signal, else 1.

        A watcher is a coroutine beside them; its ChatAgentError ends the run.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        # As other programs in a pipe do: when nobody reads our output any more, it is over.
        self.console.on_closed = lambda: loop.call_soon_threadsafe(self._stop.set)
        keeping = {asyncio.create_task(child.keep()): child for group in groups for child in group}
        beside = [asyncio.create_task(watcher) for watcher in watchers]
        stopped = asyncio.create_task(self._stop.wait())
        failed = await self._first_end(stopped, keeping, beside)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        for group in groups:
            await asyncio.gather(*(child.stop(self._hurry) for child in group))
        await asyncio.gather(*keeping)
        stopped.cancel()
        return 1 if failed else 0

    async def _first_end(
        self,
        stopped: asyncio.Task[Literal[True]],
        keeping: Mapping[asyncio.Task[int], Child],
        beside: Sequence[asyncio.Task[None]],
    ) -> bool:
        """Wait until there is a reason to stop; True when it is a failure."""
        waiting: set[asyncio.Task[Any]] = {stopped, *keeping, *beside}
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if stopped in done:
                return False
            for task in done:
                if task in keeping:
                    self.console.say(f"{keeping[task].program.name} cannot run; see its message above")
                    return True
                error = task.exception()
                if isinstance(error, ChatAgentError):
                    self.console.say(f"error: {error}")
                    return True
                if error is not None:
                    raise error

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._hurry.set()
            return
        self.console.say("stopping; once more to make it quick")
        self._stop.set()


def describe_exit(code: int) -> str:
    """`exited with code 3`, `was killed by SIGKILL`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def end_with_parent() -> Callable[[], None] | None:
    """What a child does on Linux before it becomes the program: ask for SIGTERM when we die, even by SIGKILL."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # before the fork: afterwards only async-signal-safe work is allowed

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask
