"""The scripted model: answers every `stream_text` of the agents under test, in process, whatever model they name."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from itertools import count

import orjson

from chatagent.llm.delta import CallDelta, Delta
from chatagent.llm.error import ModelError
from chatagent.llm.provider import ModelRequest
from chatagent.testing.hold import Holds
from chatagent.testing.request import Request, read_request
from chatagent.testing.script import Call, Failure, Pause, Respond, Responder, Scripted, Step, Text, as_step


class UnscriptedCall(AssertionError):
    """The agent asked its model more often than the test's script says."""


class ScriptedModel:
    """Says what it was told to, in order, and notes what it was asked."""

    def __init__(self, holds: Holds) -> None:
        #: What agents asked, oldest first; retries are requests of their own.
        self.requests: list[Request] = []
        self._holds = holds
        self._scripts: dict[str | None, deque[Scripted]] = {}
        self._default: Responder | None = None
        self._unscripted: list[Request] = []
        #: What responders raised: the test's own errors, which no agent may swallow.
        self._raised: list[Exception] = []
        self._calls = count(1)

    def script(self, *steps: Scripted, model: str | None = None) -> None:
        """What the next model calls answer, one step each; with `model` for calls of that model alone."""
        for step in steps:
            if not isinstance(step, Step | Respond | str):
                raise TypeError(f"a step is text, says(…), calls(…), fails(…) or respond(…), not {step!r}")
        self._scripts.setdefault(model, deque()).extend(steps)

    def respond(self, responder: Responder) -> None:
        """Answer every call that the script does not."""
        self._default = responder

    @property
    def left(self) -> list[Scripted]:
        """Steps that nobody has asked for yet."""
        return [step for script in self._scripts.values() for step in script]

    @property
    def last_request(self) -> Request:
        """What was asked last. Raises: IndexError when nothing was."""
        return self.requests[-1]

    def check(self) -> None:
        """Raises: UnscriptedCall when the agent asked for more than the script has; what responders raised. Once."""
        if self._raised:
            raised, self._raised = self._raised, []
            raise raised[0]
        if self._unscripted:
            asked, self._unscripted = self._unscripted, []
            told = "\n".join(map(str, asked))
            raise UnscriptedCall(f"the model was called, but nothing is scripted; chat.model.script(…):\n{told}")

    # -- for the runtime (`chatagent.llm.stand_in.StandIn`) -----------------------------------------------------

    async def open_stream(self, request: ModelRequest) -> _Stream:
        asked = read_request(request)
        self.requests.append(asked)
        step = await self._step(asked)
        if step.parts and isinstance(first := step.parts[0], Failure):
            raise _error(first)
        return _Stream(step, self._holds, self._calls)

    async def before_tool(self, name: str) -> None:
        await self._holds.reach(name)

    async def _step(self, asked: Request) -> Step:
        for name in (asked.model, None):
            if script := self._scripts.get(name):
                given = script.popleft()
                return await self._made(given.responder, asked) if isinstance(given, Respond) else as_step(given)
        if self._default is not None:
            return await self._made(self._default, asked)
        self._unscripted.append(asked)
        raise ModelError("nothing is scripted for this call")

    async def _made(self, responder: Responder, asked: Request) -> Step:
        try:
            made = responder(asked)
            answer = await made if inspect.isawaitable(made) else made
            if not isinstance(answer, Step | str):
                raise TypeError(f"a responder gives a step or text, not {answer!r}")
        except ModelError:
            raise
        except Exception as error:
            self._raised.append(error)
            raise ModelError(f"the test's responder failed: {error!r}") from error
        return as_step(answer)


class _Stream:
    """An answer on its way."""

    def __init__(self, step: Step, holds: Holds, numbers: Iterable[int]) -> None:
        self._step = step
        self._holds = holds
        self._numbers = iter(numbers)

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        index = 0
        for part in self._step.parts:
            match part:
                case Text(deltas, reasoning):
                    for delta in deltas:
                        yield Delta(reasoning=delta) if reasoning else Delta(delta)
                case Call(tool, given, call_id):
                    arguments = orjson.dumps(given).decode()
                    call = CallDelta(index, call_id or f"call_{next(self._numbers)}", tool, arguments)
                    yield Delta(calls=[call])
                    index += 1
                case Pause(name):
                    await self._holds.hold(name)
                case Failure():
                    raise _error(part)
        yield Delta(finish_reason=self._step.finish_reason, usage=self._step.usage)

    async def aclose(self) -> None:
        return


def _error(failure: Failure) -> Exception:
    """Of a script that is used twice, too: an exception that was raised before carries its old traceback."""
    return failure.error.with_traceback(None)
