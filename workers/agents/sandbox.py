"""An agent with a Python of its own: a process that stays warm between turns and goes when the chat falls asleep.

The limits keep accidents small. They are no wall against hostile code: for that, start a container or a microVM here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Any

from chatagent import chat, step_count_is, stream_text, tool
from chatagent.llm import StreamTextResult

#: Seconds that one piece of code may take, and that an orphan waits for the next.
CODE_S = 10
ORPHAN_S = 900
#: Bytes of memory and of the largest file, and characters of output that are shown.
MEMORY = 512 * 1024 * 1024
FILE_SIZE = 8 * 1024 * 1024
OUTPUT = 8_000

#: Runs inside: reads a JSON line of code, runs it with the variables of before, answers with a JSON line.
_DRIVER = f"""
import contextlib, io, json, os, resource, signal, sys, traceback
for limit, value in ((resource.RLIMIT_AS, {MEMORY}), (resource.RLIMIT_FSIZE, {FILE_SIZE}), (resource.RLIMIT_CORE, 0)):
    resource.setrlimit(limit, (value, value))
answers = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
names = {{"__name__": "__main__"}}
signal.alarm({ORPHAN_S})
for line in sys.stdin:
    signal.alarm({ORPHAN_S})
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            exec(compile(json.loads(line), "<chat>", "exec"), names)
        except BaseException:
            traceback.print_exc(limit=-1)
    print(json.dumps(out.getvalue()[-{OUTPUT}:]), file=answers, flush=True)
"""


@dataclass
class Sandbox:
    """A Python process in a folder of its own, without our environment."""

    folder: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)
    process: asyncio.subprocess.Process | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, code: str) -> str:
        """What `code` prints. Raises: TimeoutError, after which all variables are gone."""
        async with self.turn:
            if self.process is None or self.process.returncode is not None:
                self.process = await asyncio.create_subprocess_exec(
                    sys.executable, "-I", "-c", _DRIVER, cwd=self.folder.name, env={},
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=OUTPUT * 16,
                )  # fmt: skip
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.write(json.dumps(code).encode() + b"\n")
            try:
                async with asyncio.timeout(CODE_S):
                    line = await self.process.stdout.readline()
            except BaseException:
                # Too slow, or stopped by the user: the code must not go on behind our back.
                await self.kill()
                raise
            if not line:
                await self.kill()
                return "The sandbox died: the code took too much memory, or ended Python."
            return str(json.loads(line))

    async def kill(self) -> None:
        """End the process; the folder stays."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    async def close(self) -> None:
        """End the process and remove its files."""
        await self.kill()
        self.folder.cleanup()


#: The sandboxes of this process, by run. They are no values that could be stored, so they are kept here.
sandboxes: dict[str, Sandbox] = {}


@tool
async def run_python(code: str) -> dict[str, Any]:
    """Run Python code in the user's sandbox and show what it prints. Variables and files stay between calls."""
    run_id = chat.current_turn().run_id
    if fresh := run_id not in sandboxes:
        sandboxes[run_id] = Sandbox()
    try:
        return {"output": await sandboxes[run_id].run(code), "fresh": fresh}
    except TimeoutError:
        return {"output": f"Stopped after {CODE_S} s; all variables are gone.", "fresh": True}


@chat.agent("sandbox", tools=[run_python], idle_timeout="2m", examples=['Run python: "print(6 * 7)"'])
async def sandbox(turn: chat.Turn[None]) -> StreamTextResult:
    """Runs Python code in a warm sandbox."""
    return stream_text(turn.model, turn.messages, stop_when=step_count_is(8))


@sandbox.on_chat_suspend
async def tear_down(event: chat.ChatSuspend[None]) -> None:
    if (warm := sandboxes.pop(event.run_id, None)) is not None:
        await warm.close()
