from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import psutil
import pytest

from tests.runtime.fleet import Fleet, fleet
from tests.runtime.world import until
from workers.agents.sandbox import Sandbox, sandbox, sandboxes

#: The package has the agent under the module's name.
module = import_module("workers.agents.sandbox")
Part = Callable[[dict[str, Any], str], dict[str, Any]]


def in_sandbox(work: Callable[[Sandbox], Any]) -> None:
    """Run a test with a sandbox, which is closed after it."""

    async def test() -> str:
        box = Sandbox()
        try:
            await work(box)
        finally:
            await box.close()
        return box.folder.name

    assert not os.path.exists(asyncio.run(test()))


def test_code_runs_with_the_variables_and_files_of_before() -> None:
    async def work(box: Sandbox) -> None:
        assert await box.run("x = 20\nopen('n', 'w').write('22')") == ""
        assert await box.run("print(x + int(open('n').read()))") == "42\n"
        assert "NameError: name 'y'" in await box.run("print(y)")
        assert "SystemExit" in await box.run("import sys; sys.exit()")
        assert await box.run("print(x)") == "20\n"

    in_sandbox(work)


def test_code_that_takes_too_long_is_ended_and_the_next_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(box: Sandbox) -> None:
        await box.run("x = 1")
        with monkeypatch.context() as short, pytest.raises(TimeoutError):
            short.setattr(module, "CODE_S", 0.2)
            await box.run("while True: pass")
        assert "NameError" in await box.run("print(x)")

    in_sandbox(work)


def test_memory_files_output_and_environment_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATAGENT_SECRET_KEY", "secret")

    async def work(box: Sandbox) -> None:
        assert "MemoryError" in await box.run("x = bytearray(10**10)")
        assert "File too large" in await box.run("import signal; open('f', 'wb').write(bytes(10**8))")
        assert len(await box.run("print('a' * 100_000)")) == module.OUTPUT
        assert await box.run("import os; print('CHATAGENT_SECRET_KEY' in os.environ)") == "False\n"
        assert "print" not in await box.run("import os; os.write(1, b'print')")
        assert "died" in await box.run("import os; os._exit(1)")
        assert await box.run("print(1)") == "1\n"

    in_sandbox(work)


def test_a_sandbox_is_warm_between_turns_and_torn_down_when_the_chat_is_suspended(
    redis_url: str, model_loop: asyncio.Runner, part: Part
) -> None:
    async def test(world: Fleet) -> None:
        async with world.worker(sandbox) as engine:
            session = world.chat(sandbox)
            for at, code in enumerate(("x = 41", "print(x + 1)")):
                world.say(session, f'Run python: "{code}"', f"u{at}")
                assert await engine.run_turn("sandbox", session.id) == "completed"
            outputs = [part(world.history(session)[at], "tool-run_python")["output"] for at in (1, 3)]
            assert outputs == [{"output": "", "fresh": True}, {"output": "42\n", "fresh": False}]
            (warm,) = sandboxes.values()
            assert warm.process is not None
            process = psutil.Process(warm.process.pid)
            await engine.suspend(session.id)
            await until(lambda: not sandboxes, deadline_s=20)
            await until(lambda: not process.is_running(), deadline_s=20)

    fleet(redis_url, test, runner=model_loop)
