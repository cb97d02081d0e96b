"""What a docstring says to the model: a description, and one line per parameter (Google, NumPy or Sphinx style)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Headings of Google style; what follows them is for readers of the code, except the arguments.
_SECTION = re.compile(
    r"^(args|arguments|keyword args|keyword arguments|parameters|params|other parameters|returns?|yields?|raises"
    r"|examples?|notes?|attributes|see also|warnings?|references|todo):\s*$",
    re.IGNORECASE,
)
_ARGUMENTS = {
    "args",
    "arguments",
    "keyword args",
    "keyword arguments",
    "parameters",
    "params",
    "other parameters",
}
_GOOGLE_PARAM = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
#: Sphinx writes `:param name: …`, Epydoc `@param name: …`.
_FIELD = re.compile(r"^(?::(\w+)|@(param|keyword|type|returns?|rtype|raises?|see|note))\s*([^:]*):\s*(.*)$")
_FIELD_PARAMS = {"param", "parameter", "arg", "argument", "key", "keyword"}
#: NumPy underlines its headings, and names several parameters of one meaning in one line.
_UNDERLINE = re.compile(r"^(-{3,}|={3,})\s*$")
_NUMPY_PARAMS = re.compile(r"^(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")


@dataclass(slots=True)
class Docstring:
    """`description` is everything before the first section; `params` maps parameter names to one line each."""

    description: str = ""
    params: dict[str, str] = field(default_factory=dict)


def parse(text: str | None) -> Docstring:
    """Read a docstring. Text that follows no style is all description."""
    lines = inspect.cleandoc(text or "").splitlines()
    headings = [
        at for at, line in enumerate(lines[:-1]) if _SECTION.match(f"{line}:") and _UNDERLINE.match(lines[at + 1])
    ]
    return _numpy(lines, headings) if headings else _google_or_sphinx(lines)


def _numpy(lines: Sequence[str], headings: Sequence[int]) -> Docstring:
    found = Docstring("\n".join(lines[: headings[0]]).strip())
    for begin, end in zip(headings, [*headings[1:], len(lines)], strict=True):
        if lines[begin].strip().lower() not in _ARGUMENTS:
            continue
        names: list[str] = []
        for line in lines[begin + 2 : end]:
            if line[:1].strip() and (param := _NUMPY_PARAMS.match(line)):
                names = [name.strip(" *") for name in param[1].split(",")]
            for name in names if line[:1].isspace() else ():
                _add(found, name, line.strip())
    return found


def _google_or_sphinx(lines: Sequence[str]) -> Docstring:
    found = Docstring()
    description: list[str] = []
    section: str | None = None
    param: str | None = None
    indent = 0
    for line in lines:
        bare = line.strip()
        depth = len(line) - len(line.lstrip())
        if heading := _SECTION.match(line):
            section, param, indent = heading[1].lower(), None, 0
        elif named := _FIELD.match(line):
            section, indent = "fields", 1
            is_param = (named[1] or named[2]) in _FIELD_PARAMS and named[3].strip()
            param = named[3].split()[-1] if is_param else None
            _add(found, param, named[4])
        elif section is None:
            description.append(line)
        elif bare and depth == 0:
            section, param = None, None
            description.append(line)
        elif section in _ARGUMENTS and bare and depth <= (indent or depth) and (google := _GOOGLE_PARAM.match(bare)):
            indent, param = depth, google[1]
            _add(found, param, google[2])
        elif bare:
            _add(found, param, bare)
    found.description = "\n".join(description).strip()
    return found


def _add(found: Docstring, param: str | None, text: str) -> None:
    if param is not None:
        found.params[param] = f"{found.params.get(param, '')} {text}".strip()
