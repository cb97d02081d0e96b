"""Makes `docs/reference.md` of signatures, docstrings and `#:` comments: `python docs/make_reference.py`.

Names are found by reading the sources, not by importing them; so what is shown is what was written. Only the settings
and the commands are asked of the running code.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import typer

from chatagent.cli.app import app
from chatagent.settings import Settings, described

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "reference.md"
#: Signatures that are longer have a line per parameter.
WIDTH = 100

#: Sections: title, module, and names where the module has no `__all__` (None: all public ones).
SECTIONS: Sequence[tuple[str, str, Sequence[str] | None]] = (
    ("chatagent", "chatagent", None),
    ("chatagent.chat", "chatagent.chat", None),
    ("Options of chat.agent", "chatagent.agent.agent", ("AgentKeywords",)),
    ("Hooks", "chatagent.agent.hook", ("Hooks",)),
    ("chat.stream", "chatagent.agent.stream", ("writer", "append", "pipe", "read", "Writer")),
    ("Tasks", "chatagent.agent.task", ("Task", "TaskOptions", "Handle", "Done", "Failed")),
    ("chatagent.ai", "chatagent.ai", None),
    ("chatagent.llm", "chatagent.llm", None),
    ("chatagent.sessions", "chatagent.sessions", None),
    ("chatagent.auth", "chatagent.auth", None),
    ("chatagent.client", "chatagent.client", None),
    ("chatagent.testing", "chatagent.testing", None),
    ("chatagent.celery", "chatagent.celery", None),
    ("chatagent.flask", "chatagent.flask", None),
    ("chatagent.redis", "chatagent.redis", None),
    ("chatagent.signal", "chatagent.signal", None),
    ("chatagent.errors", "chatagent.errors", None),
)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Source:
    """One module as text and tree."""

    name: str
    lines: list[str]
    tree: ast.Module

    def comment_above(self, node: ast.stmt) -> str:
        """The `#:` comment over a statement."""
        found: list[str] = []
        for line in reversed(self.lines[: node.lineno - 1]):
            if not line.strip().startswith("#:"):
                break
            found.insert(0, line.strip().removeprefix("#:").strip())
        return " ".join(found)


@dataclass(frozen=True)
class Found:
    """Where a name is defined; without a node it is a module."""

    source: Source
    nodes: tuple[Definition, ...] = ()


@cache
def read(module: str) -> Source:
    """A module of the package."""
    place = ROOT.joinpath(*module.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = path.read_text("utf-8")
    return Source(module, text.splitlines(), ast.parse(text))


def is_module(name: str) -> bool:
    """Whether there is such a module."""
    place = ROOT.joinpath(*name.split("."))
    return (place / "__init__.py").is_file() or place.with_suffix(".py").is_file()


@cache
def find(module: str, name: str) -> Found | None:
    """Where `name` of `module` is defined, through all imports; None for what is not ours."""
    source = read(module)
    defined = tuple(node for node in source.tree.body if name in _names(node) and isinstance(node, Definition))
    if defined:
        return Found(source, defined)
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ImportFrom) or node.module is None or not node.module.startswith("chatagent"):
            continue
        for each in node.names:
            if (each.asname or each.name) == name:
                inner = f"{node.module}.{each.name}"
                found = find(node.module, each.name) if (node.module, each.name) != (module, name) else None
                return found or (Found(read(inner)) if is_module(inner) else None)
    return None


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.AnnAssign):
        return [ast.unparse(node.target)]
    return [ast.unparse(target) for target in node.targets] if isinstance(node, ast.Assign) else []


def public(module: str) -> list[str]:
    """The names that a module offers: its `__all__`, else what it defines without an underscore."""
    tree = read(module).tree
    for node in tree.body:
        if isinstance(node, ast.Assign) and _names(node) == ["__all__"]:
            return sorted(ast.literal_eval(node.value), key=lambda name: (name.lower(), name))
    defined = {name for node in tree.body if isinstance(node, (*FUNCTIONS, ast.ClassDef)) for name in _names(node)}
    return sorted(name for name in defined if not name.startswith("_"))


# -- signatures -------------------------------------------------------------------------------------------------


def parameters(arguments: ast.arguments, *, bound: bool) -> list[str]:
    """Each parameter as it was written; of methods without `self`."""
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
    defaults += arguments.defaults
    told = [_parameter(each, default) for each, default in zip(plain, defaults, strict=True)]
    if arguments.posonlyargs:
        told.insert(len(arguments.posonlyargs), "/")
    if bound:
        del told[0]
    if arguments.vararg is not None:
        told.append("*" + _parameter(arguments.vararg, None))
    elif arguments.kwonlyargs:
        told.append("*")
    told += [_parameter(*each) for each in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg is not None:
        told.append("**" + _parameter(arguments.kwarg, None))
    return told


def _parameter(given: ast.arg, default: ast.expr | None) -> str:
    typed = "" if given.annotation is None else f": {ast.unparse(given.annotation)}"
    equals = " = " if typed else "="
    return given.arg + typed + ("" if default is None else equals + ast.unparse(default))


def signature(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef, *, bound: bool = False, to: str = "") -> str:
    """How it is called; `to` is what it gives, where that is not written."""
    start = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    told = parameters(node.args, bound=bound and not _has(node, "staticmethod"))
    returned = to or ("" if node.returns is None else f" -> {ast.unparse(node.returns)}")
    line = f"{start}{name}({', '.join(told)}){returned}"
    if len(line) <= WIDTH:
        return line
    return f"{start}{name}(\n" + "".join(f"    {each},\n" for each in told) + f"){returned}"


def _has(node: ast.FunctionDef | ast.AsyncFunctionDef, decorator: str) -> bool:
    return any(ast.unparse(each).split(".")[-1] == decorator for each in node.decorator_list)


# -- entries ----------------------------------------------------------------------------------------------------


def entry(title: str, found: Found) -> Iterator[str]:
    """What is told of one name."""
    yield f"### `{title}`\n"
    if not found.nodes:
        yield f"A module. {_doc(found.source.tree)}\n"
        return
    node = found.nodes[-1]
    if isinstance(node, ast.ClassDef):
        yield from _class(title, found.source, node)
    elif isinstance(node, FUNCTIONS):
        yield from _function(title, [each for each in found.nodes if isinstance(each, FUNCTIONS)])
    else:
        yield from _value(title, found.source, node)


def _function(title: str, nodes: Sequence[ast.FunctionDef | ast.AsyncFunctionDef]) -> Iterator[str]:
    shown = [each for each in nodes if _has(each, "overload")] or nodes[-1:]
    yield "```python\n" + "\n".join(signature(title, each) for each in shown) + "\n```\n"
    yield _doc(nodes[-1]) + "\n"


def _value(title: str, source: Source, node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    value = "" if node.value is None else ast.unparse(node.value)
    made = re.fullmatch(r"(?:cast\()?([A-Z]\w+)(?:, \w+\(\)\)|\(\))", value)
    yield f"```python\n{title} = {value}\n```\n"
    if comment := source.comment_above(node):
        yield comment + "\n"
    kind = find(source.name, made[1]) if made is not None else None
    if kind is not None and isinstance(kind.nodes[-1], ast.ClassDef):
        yield _doc(kind.nodes[-1]) + "\n"
        yield from _members(kind.source, kind.nodes[-1])


def _class(title: str, source: Source, node: ast.ClassDef) -> Iterator[str]:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    init = next((each for each in node.body if isinstance(each, FUNCTIONS) and each.name == "__init__"), None)
    head = f"class {title}({bases})" if bases else f"class {title}"
    if init is not None:
        head += "\n\n" + signature(title, init, bound=True, to=" ")
    yield f"```python\n{head.rstrip()}\n```\n"
    yield _doc(node) + "\n"
    yield from _members(source, node)


def _members(source: Source, node: ast.ClassDef) -> Iterator[str]:
    rows: list[tuple[str, str, str]] = []
    methods: list[str] = []
    for owner, each in _body(source, node):
        _add_member(owner, each, rows, methods)
    if rows:
        yield "| | type | |\n|---|---|---|\n" + "".join(
            f"| `{name}` | {_code(kind)} | {_cell(told)} |\n" for name, kind, told in rows
        )
    yield from methods
    if methods:
        yield ""


def _body(source: Source, node: ast.ClassDef) -> Iterator[tuple[Source, ast.stmt]]:
    """The statements of a class, those of its private bases first."""
    for base in node.bases:
        name = ast.unparse(base).partition("[")[0]
        found = find(source.name, name) if name.startswith("_") else None
        if found is not None and isinstance(found.nodes[-1], ast.ClassDef):
            yield from _body(found.source, found.nodes[-1])
    for each in node.body:
        yield source, each
        if isinstance(each, FUNCTIONS) and each.name == "__init__":
            yield from ((source, inner) for inner in each.body if _names(inner)[:1] and _is_attribute(inner))


def _is_attribute(node: ast.stmt) -> bool:
    return re.fullmatch(r"self\.[a-z]\w*", _names(node)[0]) is not None


def _add_member(source: Source, node: ast.stmt, rows: list[tuple[str, str, str]], methods: list[str]) -> None:
    if isinstance(node, ast.Expr) and rows and isinstance(node.value, ast.Constant):
        name, kind, _ = rows[-1]  # A docstring below an option of a TypedDict.
        rows[-1] = (name, kind, " ".join(str(node.value.value).split()))
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        name, own = _names(node)[0].removeprefix("self."), _is_attribute(node)
        if not name.startswith("_"):
            kind = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
            rows.append((name, kind, _joined("" if own else _default(node), source.comment_above(node))))
    elif isinstance(node, FUNCTIONS) and not node.name.startswith("_") and not _has(node, "overload"):
        if _has(node, "property"):
            returned = "" if node.returns is None else ast.unparse(node.returns)
            rows.append((node.name, returned, _line(node)))
        else:
            told = re.sub(r"\s+", " ", signature(node.name, node, bound=True)).replace("( ", "(").replace(", )", ")")
            methods.append(f"* `{told}`" + (f": {_line(node)}" if _line(node) else ""))


def _default(node: ast.Assign | ast.AnnAssign) -> str:
    if node.value is None or (isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant)):
        return ""
    value = ast.unparse(node.value)
    made = re.fullmatch(r"field\(default_factory=(\w+)\)", value)
    return f"Default: `{made[1] + '()' if made else value}`." if not value.startswith("field(") or made else ""


def _doc(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    text = ast.get_docstring(node) or ""
    if re.search(r"^[├└│]|^\S.*\n\S.*\|", text, re.MULTILINE) or "\n@" in text:
        first, _, rest = text.partition("\n\n")
        return f"{first}\n\n```text\n{rest}\n```" if rest else first
    return text


def _line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return " ".join(_doc(node).split())


def _joined(*texts: str) -> str:
    return " ".join(filter(None, texts))


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# -- the running code -------------------------------------------------------------------------------------------


def settings() -> Iterator[str]:
    """All settings, by group."""
    yield "## Settings\n\nEnvironment variables; `chatagent settings` prints them with their values.\n"
    entries = described(Settings.model_construct())
    for group, members in groupby(entries, key=lambda each: each.group):
        yield f"### {group}\n\n| variable | default | |\n|---|---|---|\n" + "".join(
            f"| {', '.join(f'`{name}`' for name in each.env)} | {_code(each.default)} | {_cell(each.description)} |\n"
            for each in members
        )


def commands() -> Iterator[str]:
    """All commands of `chatagent`."""
    yield "## Commands\n"
    yield from _command("chatagent", typer.main.get_command(app))


def _command(name: str, command: Any) -> Iterator[str]:
    if (inner := getattr(command, "commands", None)) is not None:
        for each in sorted(inner):
            yield from _command(f"{name} {each}", inner[each])
        return
    arguments = [_argument(each) for each in command.params if each.param_type_name == "argument"]
    yield f"### `{' '.join([name, *arguments])}`\n\n{_paragraph(command.help)}\n"
    rows = [_option(each) for each in command.params]
    if rows:
        yield "| | |\n|---|---|\n" + "".join(rows)


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name).upper()


def _option(parameter: Any) -> str:
    told = getattr(parameter, "help", None) or ""
    if parameter.param_type_name == "argument":
        return f"| `{_argument(parameter)}` | {_cell(_paragraph(told))} |\n"
    names = ", ".join(f"`{each}`" for each in [*parameter.opts, *parameter.secondary_opts])
    return f"| {names} | {_cell(_paragraph(told))} |\n"


def _paragraph(text: str | None) -> str:
    return " ".join((text or "").split())


# -- the page ---------------------------------------------------------------------------------------------------


def reference() -> str:
    """The whole page."""
    titles = [title for title, *_ in SECTIONS] + ["Settings", "Commands"]
    links = " · ".join(f"[{title}](#{re.sub(r'[^a-z0-9 -]', '', title.lower()).replace(' ', '-')})" for title in titles)
    page = ["# Reference\n", f"Made by `python docs/make_reference.py` from the code; do not edit.\n\n{links}\n"]
    told: dict[tuple[str, tuple[int, ...]], str] = {}
    for title, module, names in SECTIONS:
        page.append(f"## {title}\n")
        if module == title:
            page.append((ast.get_docstring(read(module).tree) or "").partition("\n\n")[0] + "\n")
        for name in names or public(module):
            page += _once(name, module, title, told)
    return re.sub(r"\n{3,}", "\n\n", "\n".join([*page, *settings(), *commands()])).rstrip() + "\n"


def _once(name: str, module: str, section: str, told: dict[tuple[str, tuple[int, ...]], str]) -> Iterator[str]:
    """The entry of a name, or where it stands already."""
    found = find(module, name)
    if found is None:
        raise LookupError(f"{module}.{name} is not found in the sources")
    key = (found.source.name, tuple(node.lineno for node in found.nodes))
    if found.nodes and key in told:
        yield f"### `{name}`\n\nSee {told[key]}.\n"
        return
    told[key] = f"`{name}` of {section}"
    yield from entry(name, found)


def main() -> None:
    """Write the page, or say whether it is as it should be (`--check`)."""
    made = reference()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if TARGET.read_text("utf-8") == made else f"{TARGET.name} is old: run python docs/make_reference.py")
    TARGET.write_text(made, "utf-8")


if __name__ == "__main__":
    main()
