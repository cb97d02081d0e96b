"""`chatagent settings`: every setting with its value; and how the other commands read them."""

from __future__ import annotations

import os
from itertools import groupby
from typing import Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from chatagent.settings import PREFIX, Described, Settings, described, unknown_variables


def read_settings(*, supervised: bool = False, **given: Any) -> Settings:
    """The settings of the environment, with what the command line gave; says which variables nobody reads.

    A supervised process keeps silent: its parent has said it. Raises: ValidationError.
    """
    if not supervised:
        for name, close in unknown_variables(os.environ):
            hint = f"; did you mean {close}?" if close else "; see `chatagent settings`"
            typer.secho(f"warning: nothing reads {name}{hint}", fg="yellow", err=True)
    return Settings(**{name: value for name, value in given.items() if value is not None})


def explain(error: ValidationError) -> str:
    """What is wrong with the settings, one line each, by the name in the environment."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        place = ".".join(map(str, problem["loc"]))
        name = PREFIX + place.upper() if place in Settings.model_fields else place
        lines.append(f"{name}: {problem['msg']}" if name else problem["msg"])
    return "\n       ".join(lines)


def settings() -> None:
    """List every setting: its variable, value, default and what it does."""
    console = Console(soft_wrap=True, highlight=False)
    for group, entries in groupby(described(read_settings()), key=lambda entry: entry.group):
        console.print(Text(f"\n{group}", style="bold magenta"))
        for entry in entries:
            console.print(_lines(entry))


def _lines(entry: Described) -> Text:
    name, *also = entry.env
    aside = [f"default: {entry.default or 'unset'}"] if entry.given else []
    aside += [f"also {other}" for other in also]
    return Text.assemble(
        "  ",
        (name, "bold"),
        " = ",
        (entry.value or "(unset)", "green" if entry.given else ""),
        (f"   [{'; '.join(aside)}]" if aside else "", "dim"),
        (f"\n      {entry.description}", "dim"),
    )
