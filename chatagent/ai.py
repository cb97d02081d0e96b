"""Tools that are tasks or other agents, and what code that a tool started may know of its call and its chat."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, overload

from pydantic import BaseModel, Field

from chatagent.agent import Agent
from chatagent.agent.event import C
from chatagent.agent.task import Task
from chatagent.agent.task_run import current_launcher, current_task_run
from chatagent.agent.turn import find_turn
from chatagent.child import Trace
from chatagent.errors import ConfigError
from chatagent.ids import new_id
from chatagent.llm import Tool
from chatagent.llm import current_tool_options as _in_process_options
from chatagent.llm.tool import NeedsApproval, ToModelOutput
from chatagent.ui.reading import text_of, tool_call, waiting_calls

Out = TypeVar("Out")

#: What providers take in names of tools.
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")

__all__ = [
    "AgentInput",
    "ChatContext",
    "ToolCallOptions",
    "agent_tool",
    "chat_context",
    "chat_context_or_raise",
    "current_tool_options",
    "tool",
    "tool_call_id",
    "tool_execute",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatContext(Generic[C]):
    """The chat whose turn this code works for."""

    chat_id: str
    turn: int
    continuation: bool
    client_data: C


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallOptions:
    """The call of a tool that this code works for."""

    tool_call_id: str
    tool_name: str
    #: The arguments as JSON.
    input: Any


class AgentInput(BaseModel):
    """What a model tells another agent."""

    prompt: str = Field(description="What the agent is asked to do, with all that it needs to know.")
    conversation: str = Field(
        default="",
        description="Name of a conversation with this agent that is to go on; empty for the one of this chat.",
    )


def tool_execute(task: Task[Any, Out]) -> Callable[[Any], Any]:
    """An `execute` for a tool: it runs `task` as a durable run of its own and waits for its output.

    The task finds the tool call, the chat and the locals of the parent. A call that is repeated after a crash of the
    parent comes back to the same run. A task that fails is an error of the tool. Raises: ConfigError.
    """
    _check(task, Task, "tool_execute runs tasks")

    async def execute(value: Any) -> Out:
        return (await task.trigger_and_wait(value, idempotency_key=_call_key())).unwrap()

    execute.__annotations__["return"] = task.returned  # which `chatagent types` tells pages
    return execute


def tool(
    task: Task[Any, Any],
    *,
    name: str | None = None,
    description: str | None = None,
    needs_approval: NeedsApproval = False,
    to_model_output: ToModelOutput | None = None,
    title: str | None = None,
) -> Tool:
    """A tool made of a task: its schema, its description, and `tool_execute`. Raises: ConfigError."""
    _check(task, Task, "ai.tool takes a task, ai.agent_tool an agent, @tool a function")
    if not (isinstance(task.schema, type) and issubclass(task.schema, BaseModel)):
        raise ConfigError(f"task {task.id!r} is no tool: give it schema=, a pydantic model")
    return Tool(
        name=name or _NOT_IN_NAMES.sub("_", task.id),
        description=description if description is not None else task.description,
        input=task.schema,
        execute=tool_execute(task),
        needs_approval=needs_approval,
        to_model_output=to_model_output,
        title=title,
    )


def agent_tool(
    agent: Agent[Any],
    *,
    name: str | None = None,
    description: str | None = None,
    needs_approval: NeedsApproval = False,
    to_model_output: ToModelOutput | None = None,
    title: str | None = None,
) -> Tool:
    """A tool that asks another agent, which answers in a durable chat of its own.

    Its message grows in the card of the call as preliminary output; the output is the whole message, of which the
    model reads the text. The chat belongs to this chat and this tool (and the `conversation` that the model names), so
    the agent remembers. A stop reaches it; a call that is repeated after a crash comes back to its answer.
    Raises: ConfigError.
    """
    _check(agent, Agent, "ai.agent_tool takes an agent, ai.tool a task, @tool a function")
    tool_name = name or _NOT_IN_NAMES.sub("_", agent.id)

    async def execute(value: AgentInput) -> AsyncIterator[dict[str, Any]]:
        context = chat_context()
        chat_id = ".".join(filter(None, (context.chat_id if context else new_id(), tool_name, value.conversation)))
        message_id = _call_key() or new_id("msg_")
        message = {"id": message_id, "role": "user", "parts": [{"type": "text", "text": value.prompt}]}
        async for answer in current_launcher().ask(agent, chat_id, message):
            yield answer

    return Tool(
        name=tool_name,
        description=description if description is not None else agent.description,
        input=AgentInput,
        execute=execute,
        needs_approval=needs_approval,
        to_model_output=to_model_output or _told,
        title=title,
    )


def current_tool_options() -> ToolCallOptions | None:
    """The tool call that this code works for, in the tool itself or in a task that it started; None elsewhere."""
    here = _in_process_options()
    if here is not None:
        return ToolCallOptions(tool_call_id=here.tool_call_id, tool_name=here.tool_name, input=here.input)
    trace = _trace()
    return None if trace is None or trace.tool is None else ToolCallOptions(**trace.tool)


def tool_call_id() -> str | None:
    """The id of that call."""
    options = current_tool_options()
    return None if options is None else options.tool_call_id


@overload
def chat_context() -> ChatContext[Any] | None: ...
@overload
def chat_context(agent: Agent[C]) -> ChatContext[C] | None: ...
def chat_context(agent: Agent[Any] | None = None) -> ChatContext[Any] | None:
    """The chat that this code works for, in its turn or in a task under it; None outside of one.

    `client_data` is as the client sent it; with an `agent`, as that one declares it. Raises: BadRequest.
    """
    context = _context()
    if context is None or agent is None:
        return context
    return replace(context, client_data=agent.read_client_data(context.client_data))


@overload
def chat_context_or_raise() -> ChatContext[Any]: ...
@overload
def chat_context_or_raise(agent: Agent[C]) -> ChatContext[C]: ...
def chat_context_or_raise(agent: Agent[Any] | None = None) -> ChatContext[Any]:
    """The same. Raises: ConfigError outside of a chat, BadRequest."""
    context = chat_context() if agent is None else chat_context(agent)
    if context is None:
        raise ConfigError("there is no chat here: this run was not started by a turn of one")
    return context


def _context() -> ChatContext[Any] | None:
    turn, trace = find_turn(), _trace()
    if trace is not None:
        return None if trace.chat is None else ChatContext(**trace.chat)
    if turn is None:
        return None
    return ChatContext(
        chat_id=turn.chat_id, turn=turn.number, continuation=turn.continuation, client_data=turn.metadata
    )


def _told(message: Mapping[str, Any]) -> str:
    """What a model reads of another agent's answer: its text, and what it waits for."""
    waiting = ", ".join(tool_call(part).name for part in waiting_calls(message))
    asks = f"It waits for the user's answer, in a chat of its own, before it can go on: {waiting}." if waiting else ""
    return "\n\n".join(filter(None, [text_of(message), asks]))


def _check(given: Any, wanted: type, told: str) -> None:
    if not isinstance(given, wanted):
        raise ConfigError(f"{told}: {given!r} is none")


def _trace() -> Trace | None:
    run = current_task_run()
    return None if run is None else run.trace


def _call_key() -> str | None:
    """What tells this tool call from all others, the same after a crash; ids of providers may repeat in later turns."""
    call_id, run, turn = tool_call_id(), current_task_run(), find_turn()
    if call_id is None:
        return None
    if run is not None:
        return f"{run.session_id}.{call_id}"
    return call_id if turn is None else f"{turn.session_id}.{turn.number}.{call_id}"
