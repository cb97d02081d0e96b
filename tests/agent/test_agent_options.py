"""What is wrong with an agent, a hook or a task is told where it is written, with the mend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from chatagent import Retry, TaskRun, chat, task
from chatagent.agent.task import Task
from chatagent.errors import ConfigError
from chatagent.signal import AbortController, AbortSignal


class Client(BaseModel):
    user_id: str = "guest"


class Guest(BaseModel):
    name: str = ""


UNION = Annotated[Client | Guest, Field(discriminator="type")]


def answer(turn: Any) -> str:
    return "done"


def no_turn() -> str:
    return "done"


def two_arguments(messages: Any, signal: Any) -> str:
    return "done"


WRONG_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "the docs' name": ({"client_data_schema": Client}, r"no option 'client_data_schema': did you mean client_data="),
    "camel case": ({"idleTimeoutInSeconds": 60}, r"did you mean idle_timeout="),
    "a slip": ({"on_turn_complet": answer}, r"did you mean on_turn_complete="),
    "something else": ({"colour": "red"}, r"agent 'a' has no option 'colour'$"),
    "the function": ({"run": answer}, r"the function under the decorator"),
    "retry": ({"retry": Retry()}, r"did you mean max_attempts="),
    "an option of the stream": ({"send_reasoning": True}, r"write stream_options=\{'send_reasoning'"),
    "a stream option's slip": ({"stream_options": {"sendReasoning": True}}, r"did you mean send_reasoning="),
    "an id for a function": (
        {"stream_options": {"generate_message_id": "m1"}},
        r"generate_message_id must be a function, not 'm1'",
    ),
    "a text for a number": ({"max_turns": "5"}, r"max_turns must be 1 or more, not '5'"),
    "no attempts": ({"max_attempts": 0}, r"max_attempts must be 1 or more"),
    "a queue with its limit": ({"queue": {"concurrency_limit": 3}}, r"concurrency_limit="),
    "no duration": ({"turn_timeout": "soon"}, r"'soon' is no duration"),
    "no model": ({"client_data": {"user_id": str}}, r"client_data must be a pydantic model"),
    "no type": ({"actions": 5}, r"actions must be a pydantic model"),
    "a union without its discriminator": ({"actions": UNION}, r"'Client' needs a discriminator field for key 'type'"),
    "tools": ({"tools": 5}, r"tools must be a list"),
    "a choice of tools": ({"tools": no_turn}, r"tools: the function takes a chat.ToolsFor, and not as in no_turn"),
    "words for errors": ({"on_error": two_arguments}, r"on_error: the function takes the exception"),
    "no words for errors": ({"on_error": "oops"}, r"on_error must be a function, not a str"),
    "no function": ({"on_boot": [answer]}, r"on_boot must be a function, not a list"),
    "a hook without the event": ({"on_boot": no_turn}, r"on_boot: the function takes the event, and not as in no_turn"),
}


@pytest.mark.parametrize("wrong", WRONG_OPTIONS)
def test_a_wrong_option_is_told_with_the_right_one(wrong: str) -> None:
    options, told = WRONG_OPTIONS[wrong]
    with pytest.raises(ConfigError, match=told):
        chat.agent("a", **options)(answer)


@pytest.mark.parametrize("function", [no_turn, two_arguments])
def test_an_agent_is_a_function_of_its_turn(function: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"agent 'a': the function takes the turn, and not as in (no_turn|two_arg)"):
        chat.agent("a")(function)


def test_an_agent_has_an_id() -> None:
    with pytest.raises(ConfigError, match=r'@chat\.agent\("support"\)'):
        chat.agent(answer)  # type: ignore[call-overload]


def test_what_is_none_is_not_set() -> None:
    nothing: dict[str, Any] = {"on_boot": None, "max_turns": None, "idle_timeout": None}
    made = chat.agent("a", **nothing)(answer)
    assert (made.options.max_turns, made.options.idle_timeout_s, made.of("on_boot")) == (100, None, ())


def test_a_hook_may_be_anything_that_takes_the_event() -> None:
    class Hooks:
        def method(self, event: Any) -> None: ...

        def __call__(self, event: Any, more: int = 0) -> None: ...

    seen: list[Any] = []
    agent = chat.agent("a", on_boot=Hooks().method, on_turn_start=Hooks())(answer)
    for hook in (seen.append, print, lambda *events: None):
        agent.add("on_boot", hook)
    assert len(agent.of("on_boot")) == 4


def test_a_task_over_the_payload_of_a_chat_serves_the_chat() -> None:
    @task("plain", retry=Retry(max_attempts=5), concurrency_limit=10, max_duration="5m", client_data=Client)
    async def plain(payload: chat.ChatTaskPayload, run: TaskRun) -> None: ...

    @task
    async def bare(payload: chat.ChatTaskPayload) -> None: ...

    @task("by-schema", schema=chat.ChatTaskPayload)
    async def by_schema(payload):  # type: ignore[no-untyped-def]
        ...

    @task(id="other", max_duration="5m", ttl="1h", max_attempts=2)
    async def other(payload: int) -> None: ...

    assert [type(each) for each in (plain, bare, by_schema)] == [chat.CustomAgent] * 3
    options = plain.options
    assert (options.max_attempts, options.concurrency_limit, options.max_duration_s) == (5, 10, 300)
    assert (plain.id, bare.id, options.client_data) == ("plain", "bare", Client)
    assert isinstance(other, Task)
    assert (other.options.max_duration_s, other.options.ttl_s, other.options.max_attempts) == (300, 3600, 2)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"retry": 3}, r"retry must be a Retry"),
        ({"retries": 3}, r"did you mean max_attempts="),
        ({"queue": {"name": "x"}}, r"concurrency_limit="),
        ({"client_data": Client}, r"it serves no chat"),
    ],
)
def test_a_wrong_option_of_a_task_is_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):

        @task("t", **options)
        async def t(n: int) -> None: ...


def test_a_loop_that_cannot_be_called_is_told() -> None:
    async def three(payload: Any, signal: Any, more: Any) -> None: ...

    async def right(payload: Any, *, signal: Any) -> None: ...

    with pytest.raises(ConfigError, match="async def"):
        chat.custom_agent("c")(answer)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"custom agent 'c': the function takes the payload.*three"):
        chat.custom_agent("c")(three)
    with pytest.raises(ConfigError, match="no hooks"):
        chat.custom_agent("c", on_boot=print)(right)
    with pytest.raises(ConfigError, match=r"no hooks \(on_turn_complete\)"):
        chat.custom_agent("c")(right).on_turn_complete(print)


def test_a_name_of_the_docs_is_told_where_it_is_looked_for() -> None:
    module: Any = chat
    for name, told in {
        "setWarmTimeoutInSeconds": "chat.set_idle_timeout",
        "ChatTaskWirePayload": "chat.ChatTaskPayload",
        "set_turn_timeout_in_seconds": "chat.set_turn_timeout",
        "to_stream_text_options": "stream_text finds its turn",
        "isStopped": "chat.is_stopped",
    }.items():
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'; here it is .*{told}"):
            getattr(module, name)
    assert not hasattr(module, "colour")


def test_signals_are_joined_one_by_one_or_as_a_list() -> None:
    one, two = AbortController(), AbortController()
    joined = [AbortSignal.any(one.signal, two.signal), AbortSignal.any([one.signal, two.signal])]
    assert not any(each.aborted for each in joined)
    two.abort("enough")
    assert [each.reason for each in joined] == ["enough", "enough"]
