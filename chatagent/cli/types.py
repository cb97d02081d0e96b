"""`chatagent types`: the TypeScript type of an agent's messages, for `useChat<…>` in the frontend."""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import re
import sys
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from chatagent.agent import Agent
from chatagent.cli.agentfile import load_served
from chatagent.cli.demo_agents import AGENTS as DEMO_AGENTS
from chatagent.cli.typescript import TypeScript, object_type
from chatagent.cli.worker import DEPLOYED_APP
from chatagent.errors import ConfigError, NotFound
from chatagent.llm import Tool, to_tools

#: Where the agents of a deployment are.
_DEPLOYED = "workers.agents:AGENTS"
#: Generators and awaitables: what they give in the end is the output.
_YIELDING = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterable,
    collections.abc.Iterator,
    collections.abc.Generator,
)


def types(
    target: Annotated[
        str | None,
        typer.Argument(help="File or folder with agents, or module:attribute; without: those of this deployment."),
    ] = None,
    agent: Annotated[list[str] | None, typer.Option(help="Only this agent; may be given again.")] = None,
) -> None:
    """Print the TypeScript types of the messages that agents send."""
    found = {each.id: each for each in find_agents(target)}
    if unknown := [name for name in agent or () if name not in found]:
        raise NotFound(f"no agent {unknown[0]!r}; there are: {', '.join(sorted(found))}")
    typer.echo(message_types([found[name] for name in agent or found]), nl=False)


def find_agents(target: str | None) -> list[Agent[Any]]:
    """The agents of a file, a folder, a `module:attribute`, or of this deployment. Raises: ConfigError."""
    if target is None:
        return _of_attribute(_DEPLOYED) if DEPLOYED_APP.is_file() else list(DEMO_AGENTS)
    if ":" in target and not Path(target).exists():
        return _of_attribute(target)
    return [each for each in load_served(Path(target)) if isinstance(each, Agent)]


def message_types(agents: Iterable[Agent[Any]]) -> str:
    """A TypeScript module with one message type per agent, and all that it refers to."""
    types_ = TypeScript()
    for each in agents:
        _declare(types_, each)
    body = types_.declarations
    imports = [name for name in ("UIDataTypes", "UIMessage", "UITools") if re.search(rf"\b{name}\b", body)]
    head = "// Made by `chatagent types`: do not edit, make it again.\n"
    return f'{head}import type {{ {", ".join(imports)} }} from "ai";\n\n{body}\n'


def _declare(types_: TypeScript, agent: Agent[Any]) -> None:
    options, name = agent.options, _pascal(agent.id)
    metadata = data = tools = ""
    if options.client_data is not None:
        given = _given(types_, options.client_data)
        types_.declare(f"{name}ClientData", given, "What a client sends along with each message.")
    if options.actions is not None:
        types_.declare(f"{name}Action", _given(types_, options.actions), "What clients may ask for.")
    if options.message_metadata_schema is not None:
        metadata = types_.declare(f"{name}Metadata", _given(types_, options.message_metadata_schema))
    if options.data_parts is not None:
        parts = {part: types_.type_of(_schema(model, "serialization")) for part, model in options.data_parts.items()}
        data = types_.declare(f"{name}DataParts", object_type(parts))
    if not callable(options.tools):
        shown = {each.name: each for each in to_tools(options.tools).values() if not each.dynamic}
        if shown:
            tools = types_.declare(
                f"{name}Tools", object_type({key: _tool(types_, each) for key, each in shown.items()})
            )
    message = f"UIMessage<{metadata or 'unknown'}, {data or 'UIDataTypes'}, {tools or 'UITools'}>"
    types_.declare(f"{name}Message", message, agent.description)


class _AsDumped(GenerateJsonSchema):
    """A dumped model has all its fields, also those with defaults."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        dumped = self.mode == "serialization" and field["type"] != "typed-dict-field"
        return dumped or super().field_is_required(field, total)


def _given(types_: TypeScript, model: Any) -> str:
    """The type of what a client sends."""
    return types_.type_of(_schema(model, "validation"))


def _tool(types_: TypeScript, tool: Tool) -> str:
    given = types_.type_of(tool.input_schema)
    return object_type({"input": given, "output": types_.type_of(_schema(_output(tool), "serialization"))})


def _output(tool: Tool) -> Any:
    """What the function of a tool returns, or what runs it, as far as its annotation tells."""
    function = getattr(tool, "function", None) or tool.execute
    if function is None:
        return Any
    inner = inspect.unwrap(function)
    try:
        hint = typing.get_type_hints(inner, include_extras=True).get("return", Any)
    except (NameError, TypeError):
        return Any
    if typing.get_origin(hint) in _YIELDING:
        hint = (typing.get_args(hint) or (Any,))[0]
    return hint


def _schema(type_: Any, mode: typing.Literal["validation", "serialization"]) -> Mapping[str, Any]:
    """The JSON schema of a type; of one that has none, the schema of anything."""
    try:
        return TypeAdapter(type_).json_schema(mode=mode, schema_generator=_AsDumped)
    except PydanticUserError:
        return {}


def _of_attribute(target: str) -> list[Agent[Any]]:
    module, _, attribute = target.partition(":")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{target}: {error}; give module:attribute, or a file") from error
    agents = [found] if isinstance(found, Agent) else list(found) if isinstance(found, Iterable) else []
    agents = [each for each in agents if isinstance(each, Agent)]
    if not agents:
        raise ConfigError(f"{target}: neither an agent nor a list of agents")
    return agents


def _pascal(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name) if word) or "Agent"
