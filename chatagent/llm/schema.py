"""The input of a tool: a pydantic model made from a function's signature, and the JSON schema that the model reads."""

from __future__ import annotations

import inspect
import typing
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, PydanticJsonSchemaWarning

from chatagent.errors import ConfigError

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
#: How methods name their object, without a type.
_OBJECTS = ("self", "cls")


class ToolInput(BaseModel):
    """Base of derived models: what a model sends beyond the parameters is ignored, though the schema forbids it."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"additionalProperties": False}, protected_namespaces=()
    )


class _Untitled(GenerateJsonSchema):
    """Leaves out the generated titles: they repeat the property names and cost tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def derive_input(
    function: Callable[..., Any], name: str, descriptions: Mapping[str, str]
) -> tuple[type[BaseModel], bool]:
    """The input model of `function`, and whether it is a method without an object, whose `self` is left out.

    The fields are the parameters, without those that a `partial` gives. They are described by `descriptions`, by
    `Annotated[str, "…"]` or by pydantic's `Field`.
    Raises: ConfigError for a signature that the model could not fill by name.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())
        hints = _parameter_hints(function)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(
            f"tool {name}: its type hints cannot be read ({error}); use types that its module can see"
        ) from error
    unbound = bool(parameters) and parameters[0].name in _OBJECTS and parameters[0].name not in hints
    given = function.keywords if isinstance(function, partial) else {}
    fields: dict[str, Any] = {}
    for parameter in [each for each in parameters[unbound:] if each.name not in given]:
        _check(parameter, name)
        default = ... if parameter.default is parameter.empty else parameter.default
        hint = _described(hints.get(parameter.name, Any), descriptions.get(parameter.name))
        fields[parameter.name] = (hint, default)
    try:
        with warnings.catch_warnings():
            # A parameter may well be named `json` or `schema`; nobody calls those methods of a tool's input.
            warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
            return create_model(name, __base__=ToolInput, **fields), unbound
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as error:
        raise ConfigError(f"tool {name}: its parameters are no JSON types: {error.message}") from error


def _check(parameter: inspect.Parameter, name: str) -> None:
    """Raises: ConfigError for a parameter that no model can give a value."""
    if parameter.kind in _VARIADIC or parameter.name.startswith("_"):
        raise ConfigError(f"tool {name}: parameter {parameter} has no plain name; use named parameters only")
    if parameter.name.startswith("model_") and hasattr(BaseModel, parameter.name):
        raise ConfigError(f"tool {name}: pydantic keeps the name {parameter.name} for itself; rename the parameter")


def _described(hint: Any, documented: str | None) -> Any:
    """The hint with what is said of its parameter; what stands in the hint itself comes first."""
    metadata = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    if any(isinstance(each, FieldInfo) and each.description for each in metadata):
        return hint
    said = (each if isinstance(each, str) else getattr(each, "documentation", None) for each in metadata)
    description = next((text for text in said if isinstance(text, str)), documented)
    annotated: Any = Annotated
    return annotated[hint, Field(description=description)] if description else hint


def _parameter_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of the parameters. That of the result may be unknown at run time, so it is left alone."""
    inner = inspect.unwrap(plain(function))
    annotations = {name: hint for name, hint in getattr(inner, "__annotations__", {}).items() if name != "return"}
    holder = SimpleNamespace(__annotations__=annotations)
    return typing.get_type_hints(holder, globalns=getattr(inner, "__globals__", {}), include_extras=True)


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that runs in the end: behind a `partial`, or in an object that can be called."""
    while isinstance(function, partial):
        function = function.func
    return function if hasattr(function, "__name__") else type(function).__call__


def json_schema(model: Any, name: str) -> dict[str, Any]:
    """The JSON schema of a tool's input. Raises: ConfigError for a type without one."""
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise ConfigError(f"tool {name}: its input must be a pydantic model or a JSON schema, not {model!r}")
    try:
        with warnings.catch_warnings():
            # A default that JSON cannot say is left out of the schema, as it should be.
            warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
            schema = model.model_json_schema(schema_generator=_Untitled)
    except PydanticUserError as error:
        raise ConfigError(f"tool {name}: its input has no JSON schema: {error.message}") from error
    if issubclass(model, ToolInput):
        schema.pop("title", None)
    schema.setdefault("properties", {})
    return schema
