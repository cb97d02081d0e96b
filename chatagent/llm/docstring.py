"""What a function's docstring says to the model: a description, and one line per parameter (Google or Sphinx style)."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

#: Headings of Google style; what follows them is for readers of the code, except the arguments.
_SECTION = re.compile(
    r"^(args|arguments|parameters|params|returns?|yields?|raises|examples?|notes?|attributes|see also|warnings?):\s*$",
    re.IGNORECASE,
)
_ARGUMENTS = {"args", "arguments", "parameters", "params"}
_GOOGLE_PARAM = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_SPHINX_FIELD = re.compile(r"^:(\w+)\s*([^:]*):\s*(.*)$")
_SPHINX_PARAMS = {"param", "parameter", "arg", "argument", "key", "keyword"}


@dataclass(slots=True)
class Docstring:
    """`description` is everything before the first section; `params` maps parameter names to one line each."""

    description: str = ""
    params: dict[str, str] = field(default_factory=dict)


def parse(text: str | None) -> Docstring:
    """Read a docstring. Text that follows neither style is all description."""
    found = Docstring()
    description: list[str] = []
    section: str | None = None
    param: str | None = None
    indent = 0
    for line in inspect.cleandoc(text or "").splitlines():
        bare = line.strip()
        depth = len(line) - len(line.lstrip())
        if heading := _SECTION.match(line):
            section, param, indent = heading[1].lower(), None, 0
        elif sphinx := _SPHINX_FIELD.match(line):
            section, indent = "sphinx", 1
            param = sphinx[2].split()[-1] if sphinx[1] in _SPHINX_PARAMS and sphinx[2].strip() else None
            _add(found, param, sphinx[3])
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
