"""Loads agents from a Python file, or from every file of a folder."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from chatagent.agent import Agent
from chatagent.agent.task import Task
from chatagent.errors import ChatAgentError, ConfigError

Served = Agent[Any] | Task[Any, Any]


def load_served(path: Path) -> list[Served]:
    """The agents and tasks that the file (or the files of the folder) defines or imports. Raises: ConfigError.

    The file's folder goes onto `sys.path`, as with `python FILE`; a file inside a package is imported as part of it.
    """
    if not path.exists():
        raise ConfigError(f"{path}: no such file or folder")
    files = _files(path)
    if not files:
        raise ConfigError(f"{path}: not a Python file, and no folder with Python files")
    found: dict[str, tuple[Served, Path]] = {}
    for file in files:
        for agent in _agents(_import(file)):
            known, where = found.setdefault(agent.id, (agent, file))
            if known is not agent:
                raise ConfigError(f"{file}: the id {agent.id!r} is taken in {where}; give it another")
    if not any(isinstance(agent, Agent) for agent, _ in found.values()):
        raise ConfigError(f'{path}: no agent in it; decorate a function with @chat.agent("an-id")')
    return [agent for agent, _ in found.values()]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.glob("*.py") if not file.name.startswith("_"))
    return [path] if path.suffix == ".py" else []


def _agents(module: ModuleType) -> Iterator[Served]:
    seen: set[int] = set()
    for value in vars(module).values():
        if isinstance(value, Agent | Task) and id(value) not in seen:
            seen.add(id(value))
            yield value


def _import(file: Path) -> ModuleType:
    """Run the file as a module."""
    file = file.resolve()
    root, name = _place(file)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        if "." in name:
            return importlib.import_module(name)
        # A name that clashes with nothing: the file may be called `redis.py`.
        return _run(file, f"agentfile_{name}")
    except (Exception, SystemExit) as error:
        raise ConfigError(_explain(file, error)) from error


def _place(file: Path) -> tuple[Path, str]:
    """The folder that belongs on `sys.path`, and the dotted name from there (packages have an `__init__.py`)."""
    names, folder = [file.stem], file.parent
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)


def _run(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file}: Python cannot load this file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pydantic look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _explain(file: Path, error: BaseException) -> str:
    """`agents.py:3: NameError: …`, with the way there when the error is deeper."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: SyntaxError: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    own = [at for at, frame in enumerate(frames) if frame.filename == str(file)]
    if not own:
        return f"{file}: {_name(error)}"
    line = frames[own[-1]].lineno
    way = "".join(traceback.format_list(frames[own[0] :])) if len(frames) - own[0] > 1 else ""
    return f"{file}:{line}: {_name(error)}" + (f"\n{way.rstrip()}" if way else "")


def _name(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "the file calls sys.exit() while it is loaded"
    if isinstance(error, ChatAgentError):
        return str(error)
    return "".join(traceback.format_exception_only(error)).strip()
