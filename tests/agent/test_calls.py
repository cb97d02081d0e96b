"""`chat.*` called as authors would guess: what works, and what is said of what does not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from chatagent import ai, chat, client_tool, stream_text, task, tool
from chatagent.agent.stream import Writer
from chatagent.errors import BadRequest, ConfigError
from chatagent.llm import StreamTextResult
from chatagent.testing import ChatAgent, calls


def note(number: int) -> dict[str, Any]:
    return {"type": "data-note", "data": {"number": number}}


def notes(chunks: list[dict[str, Any]]) -> list[int]:
    return [chunk["data"]["number"] for chunk in chunks if chunk["type"] == "data-note"]


def test_what_a_writer_was_told_is_written_in_order_awaited_or_not(chat_agent: ChatAgent) -> None:
    progress: dict[str, Any] = {"type": "data-note", "data": {"number": 4}}

    def plain(out: Writer) -> None:
        out.write(note(1))
        out.write(note(2))

    @chat.agent("writing")
    async def writing(turn: chat.Turn) -> str:
        await chat.stream.writer(execute=plain)
        await chat.stream.writer(lambda out: out.write(note(3)), target="root").wait_until_complete()
        async with chat.stream.writer() as out:
            out.write(progress)
            progress["data"]["number"] = 5
            assert await out.write(progress)
            out.write_all([note(6), note(7)])
        return "done"

    assert notes(chat_agent(writing).send("go").chunks) == [1, 2, 3, 4, 5, 6, 7]


def test_an_error_of_a_write_is_told_once(chat_agent: ChatAgent) -> None:
    large = {"type": "data-note", "data": {"number": 0, "text": "x" * 2**20}}
    told: list[str] = []

    @chat.agent("writing")
    async def writing(turn: chat.Turn) -> str:
        async with chat.stream.writer() as out:
            with pytest.raises(BadRequest, match="start chunk belongs to the answer"):
                out.write({"type": "start"})
            try:
                await out.write(large)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told once
                told.append(str(error))
            await out.write(note(1))
        try:
            async with chat.stream.writer() as out:
                out.write(large)
                out.write(note(2))
        except Exception as error:  # noqa: BLE001
            told.append(str(error))
        return "done"

    answer = chat_agent(writing).send("go")
    assert (answer.text, notes(answer.chunks)) == ("done", [1, 2])
    assert [text[:13] for text in told] == ["a data-note c"] * 2


def test_what_a_pipe_gives_is_not_shown_twice(chat_agent: ChatAgent) -> None:
    @chat.agent("piping")
    async def piping(turn: chat.Turn) -> chat.UIMessage:
        await chat.pipe(dict(await chat.pipe("once")))
        return await chat.pipe({"id": "other", "role": "assistant", "parts": [{"type": "text", "text": " more"}]})

    @chat.agent("returning")
    async def returning(turn: chat.Turn) -> Any:
        result = stream_text(turn.model, turn.messages)
        if turn.number == 0:
            return await chat.pipe_and_capture(result)
        await chat.pipe(result)
        return result

    talk = chat_agent(piping)
    assert [talk.send("go").text, talk.send("go").text] == ["once more", "once more"]
    talk = chat_agent(returning)
    talk.model.script("One.", "Two.")
    assert [talk.send("go").text, talk.send("go").text] == ["One.", "Two."]


@pytest.mark.parametrize("wrong", ["text", None, 5, [("type", "data-x")]])
def test_a_chunk_is_a_dict(chat_agent: ChatAgent, wrong: Any) -> None:
    @chat.agent("wrong")
    async def agent(turn: chat.Turn) -> str:
        with pytest.raises(BadRequest, match="a chunk is a dict with a `type`"):
            chat.response.write(wrong)
        return "done"

    assert chat_agent(agent).send("go").text == "done"


def test_one_message_is_injected_as_well_as_many(chat_agent: ChatAgent) -> None:
    @chat.agent("injecting")
    async def injecting(turn: chat.Turn) -> Any:
        await chat.inject({"role": "system", "content": "Be brief."})
        for wrong in (5, [{"role": "user"}], ["text"]):
            with pytest.raises((BadRequest, TypeError)):
                await chat.inject(wrong)  # type: ignore[arg-type]
        return stream_text(turn.model, turn.messages)

    talk = chat_agent(injecting)
    talk.model.script("Yes.")
    assert talk.send("go").text == "Yes."
    assert talk.model.last_request.system == "Be brief."


def test_a_stream_option_that_there_is_not_is_told(chat_agent: ChatAgent) -> None:
    @chat.agent("options")
    async def options(turn: chat.Turn) -> str:
        with pytest.raises(ConfigError, match="did you mean send_reasoning="):
            chat.set_ui_message_stream_options(sendReasoning=True)  # type: ignore[call-arg]
        return "done"

    assert chat_agent(options).send("go").text == "done"


def test_an_accumulator_takes_what_was_captured_and_nothing_empty(chat_agent: ChatAgent) -> None:
    seen: list[Any] = []

    @chat.custom_agent("accumulating")
    async def accumulating(payload: chat.ChatTaskPayload) -> None:
        conversation = chat.MessageAccumulator()
        await conversation.add_incoming(payload.messages, payload.trigger, 0)
        await conversation.add_response(await chat.pipe_and_capture(None))
        seen.append(len(conversation.ui_messages))
        captured = await chat.pipe_and_capture("fine")
        await conversation.add_response(chat.cleanup_aborted_parts(captured))
        seen.append([message["role"] for message in conversation.ui_messages])

    chat_agent(accumulating).send("go")
    assert seen == [1, ["user", "assistant"]]


def test_the_results_that_come_in_are_new_until_they_are_taken_in(chat_agent: ChatAgent) -> None:
    audit: list[tuple[str, list[Any]]] = []

    @client_tool
    def ask(question: str) -> str:
        """Ask the user."""
        raise NotImplementedError

    @chat.agent("auditing", tools=[ask])
    async def auditing(turn: chat.Turn) -> StreamTextResult:
        return stream_text(turn.model, turn.messages)

    def new(messages: list[chat.UIMessage]) -> list[Any]:
        return [each.output for message in messages for each in chat.history.extract_new_tool_results(message)]

    @auditing.on_validate_messages
    def validate(event: chat.ValidateMessages) -> list[chat.UIMessage]:
        audit.append(("validate", new(event.messages)))
        return event.messages

    @auditing.hydrate_messages
    async def hydrate(event: chat.HydrateMessages) -> list[chat.UIMessage]:
        audit.append(("hydrate", new(event.incoming_messages)))
        stored = list(event.previous_messages)
        chat.upsert_incoming_message(stored, event)
        return stored

    @auditing.on_turn_complete
    def complete(event: chat.TurnComplete) -> None:
        audit.append(("complete", new(event.ui_messages)))

    talk = chat_agent(auditing)
    talk.model.script(calls("ask", question="how many?"), "Thanks.")
    talk.send("go")
    audit.clear()
    assert talk.answer_tool(42).text == "Thanks."
    assert audit == [("validate", [42]), ("hydrate", [42]), ("complete", [])]


class Query(BaseModel):
    query: str


class Client(BaseModel):
    user_id: str = "guest"


@task("look-up", schema=Query)
async def look_up(asked: Query) -> str:
    """Look something up."""
    context, same, plain = ai.chat_context(porting), ai.chat_context_or_raise(), ai.chat_context()
    assert context is not None
    return f"{asked.query} for {context.client_data.user_id}, {same == plain}, {same.client_data}"


@chat.agent(
    "porting",
    client_data=Client,
    tools=[tool(name="look", description="Look.", input_schema=Query, execute=ai.tool_execute(look_up))],
)
async def porting(turn: chat.Turn[Client]) -> StreamTextResult:
    there = {"abort_signal": "signal=", "max_output_tokens": "max_tokens=", "stop_sequences": "stop="}
    for name, here in there.items():
        wrong: dict[str, Any] = {name: None}
        with pytest.raises(ConfigError, match=f"stream_text has no {name}=; here it is {here}"):
            stream_text(turn.model, turn.messages, **wrong)
    return stream_text(turn.model, turn.ui_messages)


def test_a_tool_in_pieces_runs_a_task_that_knows_its_chat(chat_agent: ChatAgent) -> None:
    talk = chat_agent(porting, serve=[look_up], client_data={"user_id": "ada"})
    talk.model.script(calls("look", query="owls"), "Done.")
    answer = talk.send("go")
    assert answer.tool_calls[0].output == "owls for ada, True, {'user_id': 'ada'}"
    assert talk.model.requests[0].messages == [{"role": "user", "content": "go"}], "UI messages are converted"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"description": "Look.", "execute": print}, "needs name and input_schema="),
        ({"name": "look", "execute": print, "input_schema": Query, "colour": 1}, "no option 'colour'"),
        ({"inputSchema": Query}, "no option 'inputSchema'; there are name, description"),
    ],
)
def test_an_option_that_a_tool_has_not_is_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        tool(**options)
