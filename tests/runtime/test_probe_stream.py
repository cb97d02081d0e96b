"""Streams of one turn: several of them, inside each other, stopped, and seen as their options say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from chatagent import chat, stream_text, tool
from chatagent.ui import fold_message
from tests.provider import LITELLM_WARNINGS, FakeProvider
from tests.redis.chat import gateway
from tests.runtime.world import World, live, text_of, until

pytestmark = pytest.mark.filterwarnings(*LITELLM_WARNINGS)

_USAGE = {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}


def _say(text: str) -> list[dict[str, Any]]:
    return [{"content": text}, {"finish": "stop"}, _USAGE]


def _call(name: str, args: str = "{}") -> list[dict[str, Any]]:
    return [{"tool": [{"index": 0, "id": "c1", "name": name, "args": args}]}, {"finish": "tool_calls"}, _USAGE]


def _run(url: str, runner: asyncio.Runner, test: Any) -> None:
    with gateway(url) as side:
        runner.run(test(World(url, side)))


def test_two_models_answer_in_one_turn_and_both_are_counted(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    usage: list[Any] = []

    @chat.agent("twice")
    async def twice(turn: chat.Turn[Any]) -> Any:
        await chat.pipe(stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none"))
        await chat.pipe(" and ")
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    @twice.on_turn_complete
    def complete(event: chat.TurnComplete[Any]) -> None:
        usage.append((event.usage["totalTokens"], event.total_usage["totalTokens"]))

    async def test(world: World) -> None:
        session = world.chat(twice)
        provider.script(_say("one"), _say("two"), _say("three"), _say("four"))
        async with world.engine(twice) as engine:
            await world.turn(engine, session)
            assert fold_message(world.chunks(session)) == world.history(session)[-1]
        async with world.engine(twice, owner="w2") as other:
            await world.turn(other, session, "again", "u2")
        assert text_of(world.history(session)) == ["hi", "one and two", "again", "three and four"]
        assert usage == [(30, 30), (30, 60)]

    _run(redis_url, model_loop, test)


def test_what_a_piped_generator_pipes_itself_stands_in_its_place(redis_url: str) -> None:
    async def inner() -> AsyncIterator[str]:
        yield "b"
        yield "c"

    async def outer() -> AsyncIterator[str]:
        yield "a"
        await chat.pipe(inner())
        chat.response.write({"type": "data-mark", "data": 1})
        yield "d"

    @chat.agent("nested")
    async def nested(turn: chat.Turn[Any]) -> None:
        await chat.pipe(outer())

    async def test(world: World) -> None:
        session = world.chat(nested)
        async with world.engine(nested) as engine:
            assert await world.turn(engine, session) == "completed"
        message = world.history(session)[-1]
        assert text_of([message]) == ["abcd"]
        assert fold_message(world.chunks(session)) == message

    live(redis_url, test)


def test_one_handler_words_the_errors_of_models_and_of_tools(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    @tool
    def broken() -> str:
        """Break."""
        raise RuntimeError("secret")

    @chat.agent("worded", tools=[broken], stream_options={"on_error": lambda error: f"<{type(error).__name__}>"})
    async def worded(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none", max_retries=0)

    async def test(world: World) -> None:
        session = world.chat(worded)
        provider.script(_call("broken"), [{"content": "so"}, {"error": {"message": "secret", "code": 500}}])
        async with world.engine(worded) as engine:
            assert await world.turn(engine, session) == "failed"
        texts = [chunk["errorText"] for chunk in world.chunks(session) if "errorText" in chunk]
        assert len(texts) == 2
        assert texts[0] == "<RuntimeError>"
        assert texts[1].startswith("<")
        assert "secret" not in str(world.chunks(session))

    _run(redis_url, model_loop, test)


def test_a_handler_that_only_logs_masks_the_error_of_a_tool_and_the_answer_goes_on(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    logged: list[str] = []

    @tool
    def broken() -> str:
        """Break."""
        raise RuntimeError("secret")

    def log(error: BaseException) -> Any:
        logged.append(str(error))

    @chat.agent("logs", tools=[broken], on_error=log)
    async def logs(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: World) -> None:
        session = world.chat(logs)
        provider.script(_call("broken"), _say("sorry"))
        async with world.engine(logs) as engine:
            assert await world.turn(engine, session) == "completed"
        assert [chunk["errorText"] for chunk in world.chunks(session) if "errorText" in chunk] == ["An error occurred."]
        assert logged == ["secret"]

    _run(redis_url, model_loop, test)


def test_options_of_one_turn_are_gone_in_the_next(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    @chat.agent("silent", stream_options={"message_metadata": lambda chunk: {"kind": "x"}})
    async def silent(turn: chat.Turn[Any]) -> Any:
        if turn.number == 0:
            chat.set_ui_message_stream_options(send_reasoning=False)
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: World) -> None:
        session = world.chat(silent)
        thinking = [{"reasoning": "hm"}, *_say("so")]
        provider.script(thinking, thinking)
        async with world.engine(silent) as engine:
            await world.turn(engine, session)
            await world.turn(engine, session, "again", "u2")
        first, second = (each for each in world.history(session) if each["role"] == "assistant")
        assert not any(part["type"] == "reasoning" for part in first["parts"])
        assert any(part["type"] == "reasoning" for part in second["parts"])
        assert first["metadata"] == {"kind": "x"}

    _run(redis_url, model_loop, test)


def test_reasoning_of_a_plain_stream_is_not_sent_either(redis_url: str) -> None:
    async def thoughts() -> AsyncIterator[dict[str, Any]]:
        yield {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}], "object": "chat.completion.chunk"}
        yield {"choices": [{"index": 0, "delta": {"content": "so"}}], "object": "chat.completion.chunk"}

    @chat.agent("quiet", stream_options={"send_reasoning": False})
    async def quiet(turn: chat.Turn[Any]) -> Any:
        return _reasoned()

    async def _reasoned() -> AsyncIterator[dict[str, Any]]:
        yield {"type": "reasoning-start", "id": "r"}
        yield {"type": "reasoning-delta", "id": "r", "delta": "hm"}
        yield {"type": "reasoning-end", "id": "r"}
        yield {"type": "text-start", "id": "t"}
        yield {"type": "text-delta", "id": "t", "delta": "so"}
        yield {"type": "text-end", "id": "t"}

    async def test(world: World) -> None:
        session = world.chat(quiet)
        async with world.engine(quiet) as engine:
            await world.turn(engine, session)
        assert text_of(world.history(session)) == ["hi", "so"]

    live(redis_url, test)


def test_a_stop_inside_a_hook_ends_the_turn_without_a_model_call(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    told: list[Any] = []
    began = asyncio.Event()

    @chat.agent("hooked")
    async def hooked(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    @hooked.on_turn_start
    async def start(event: chat.TurnStart[Any]) -> None:
        began.set()
        await chat.current_turn().stop_signal.wait()

    @hooked.on_turn_complete
    def complete(event: chat.TurnComplete[Any]) -> None:
        told.append((event.stopped, event.response_message, event.finish_reason))

    async def test(world: World) -> None:
        session = world.chat(hooked)
        async with world.engine(hooked) as engine:
            world.say(session)
            turn = asyncio.create_task(engine.run_turn("hooked", session.id))
            await began.wait()
            world.stop(session)
            assert await turn == "stopped"
            world.stop(session)
            provider.script(_say("fine"))
            began.clear()
        assert told == [(True, None, None)]
        assert provider.requests == []

    _run(redis_url, model_loop, test)


def test_a_stop_in_a_generator_tool_keeps_its_last_output_and_the_next_turn_works(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    closed: list[bool] = []

    @tool
    async def count() -> AsyncIterator[int]:
        """Count."""
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    @chat.agent("counts", tools=[count])
    async def counts(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: World) -> None:
        session = world.chat(counts)
        provider.script(_call("count"), _say("fine"))
        async with world.engine(counts) as engine:
            world.say(session)
            turn = asyncio.create_task(engine.run_turn("counts", session.id))
            await until(lambda: any(chunk.get("preliminary") for chunk in world.chunks(session)))
            world.stop(session)
            assert await turn == "stopped"
            assert closed == [True]
            answer = world.history(session)[-1]
            assert fold_message(world.chunks(session)) == answer
            # Pages of ai 5 take a preliminary output for an answer: the last step must not end with it.
            kinds = [(part["type"], part.get("output")) for part in answer["parts"]]
            assert kinds == [("step-start", None), ("tool-count", 1), ("step-start", None), ("data-turn-end", None)]
            assert await world.turn(engine, session, "again", "u2") == "completed"
        roles = [each["role"] for each in provider.requests[-1].body["messages"]]
        assert roles[0] == "user" and roles[-1] == "user"

    _run(redis_url, model_loop, test)


class Progress(BaseModel):
    percent: int


def test_a_wrong_data_part_of_a_tool_is_an_error_of_the_tool_and_not_sent(
    redis_url: str, provider: FakeProvider, model_loop: asyncio.Runner
) -> None:
    @tool
    def work() -> str:
        """Work (in a thread)."""
        chat.response.write({"type": "data-progress", "id": "p", "data": Progress(percent=1)})
        chat.response.write({"type": "data-progress", "id": "p", "data": {"percent": "many"}})
        return "done"

    @chat.agent("typed", tools=[work], data_parts={"progress": Progress})
    async def typed(turn: chat.Turn[Any]) -> Any:
        return stream_text("openai/fake", turn.messages, api_base=provider.url, api_key="none")

    async def test(world: World) -> None:
        session = world.chat(typed)
        provider.script(_call("work"), _say("ok"))
        async with world.engine(typed) as engine:
            assert await world.turn(engine, session) == "completed"
        parts = world.history(session)[-1]["parts"]
        assert [part["data"] for part in parts if part["type"] == "data-progress"] == [{"percent": 1}]
        assert [part["state"] for part in parts if part["type"] == "tool-work"] == ["output-error"]

    _run(redis_url, model_loop, test)


@pytest.mark.parametrize("where", ["on_before_turn_complete", "on_compacted", "prepare_messages", "tools"])
def test_whatever_the_authors_code_raises_the_chat_lives_on(redis_url: str, where: str) -> None:
    failing = [True]

    def fails(event: Any) -> Any:
        if failing[0]:
            raise RuntimeError("boom")
        return [] if where == "tools" else getattr(event, "messages", None)

    options: dict[str, Any] = {where: fails}

    @chat.agent("fails", **options)
    async def agent(turn: chat.Turn[Any]) -> str:
        return "fine"

    async def test(world: World) -> None:
        session = world.chat(agent)
        async with world.engine(agent) as engine:
            expected = "completed" if where == "on_compacted" else "failed"
            assert await world.turn(engine, session) == expected
            failing[0] = False
            assert await world.turn(engine, session, "again", "u2") == "completed"
        assert text_of(world.history(session))[-2:] == ["again", "fine"]

    live(redis_url, test)


def test_a_turn_that_takes_too_long_is_cancelled_and_says_so(redis_url: str) -> None:
    signals: list[tuple[bool, bool]] = []
    told: list[Any] = []

    @chat.agent("slow", max_duration=0.2)
    async def slow(turn: chat.Turn[Any]) -> AsyncIterator[str]:
        yield "begun"
        await turn.cancel_signal.wait()
        signals.append((turn.stop_signal.aborted, turn.signal.aborted))

    @slow.on_turn_complete
    def complete(event: chat.TurnComplete[Any]) -> None:
        told.append((event.stopped, event.finish_reason, type(event.error).__name__))

    async def test(world: World) -> None:
        session = world.chat(slow)
        async with world.engine(slow) as engine:
            assert await world.turn(engine, session) == "failed"
        assert signals == [(False, True)]
        assert told == [(False, "error", "TurnTimeout")]
        assert text_of(world.history(session)) == ["hi", "begun"]

    live(redis_url, test)
