"""The input of a tool: a pydantic model made from a function's signature, and the JSON schema that the model reads."""

from __future__ import annotations

import inspect
import typing
import warnings
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from chatagent.errors import ConfigError

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


class ToolInput(BaseModel):
    """Base of derived models: what a model sends beyond the parameters is ignored, though the schema forbids it."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"additionalProperties": False}, protected_namespaces=()
    )


class _Untitled(GenerateJsonSchema):
    """Leaves out the generated titles: they repeat the property names and cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def derive_input(function: Callable[..., Any], name: str, descriptions: Mapping[str, str]) -> type[BaseModel]:
    """The input model of `function`; the fields are its parameters, described by `descriptions`.

    Raises: ConfigError for a signature that the model could not fill by name.
    """
    try:
        signature = inspect.signature(function)
        hints = _parameter_hints(function)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(
            f"tool {name}: its type hints cannot be read ({error}); use types that its module can see"
        ) from error
    fields: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if parameter.kind in _VARIADIC or parameter.name.startswith("_"):
            raise ConfigError(f"tool {name}: parameter {parameter} has no plain name; use named parameters only")
        default = ... if parameter.default is parameter.empty else parameter.default
        if description := descriptions.get(parameter.name):
            default = Field(default, description=description)
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    try:
        with warnings.catch_warnings():
            # A parameter may well be named `json` or `schema`; nobody calls those methods of a tool's input.
            warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
            return create_model(name, __base__=ToolInput, **fields)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as error:
        raise ConfigError(f"tool {name}: its parameters are no JSON types: {error.message}") from error


def _parameter_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of the parameters. That of the result may be unknown at run time, so it is left alone."""
    inner = inspect.unwrap(function)
    annotations = {name: hint for name, hint in getattr(inner, "__annotations__", {}).items() if name != "return"}
    holder = SimpleNamespace(__annotations__=annotations)
    return typing.get_type_hints(holder, globalns=getattr(inner, "__globals__", {}), include_extras=True)


def json_schema(model: type[BaseModel], name: str) -> dict[str, Any]:
    """The JSON schema of a tool's input. Raises: ConfigError for a type without one."""
    try:
        schema = model.model_json_schema(schema_generator=_Untitled)
    except PydanticUserError as error:
        raise ConfigError(f"tool {name}: its input has no JSON schema: {error.message}") from error
    if issubclass(model, ToolInput):
        schema.pop("title", None)
    schema.setdefault("properties", {})
    return schema
