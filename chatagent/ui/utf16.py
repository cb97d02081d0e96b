"""Text as JavaScript holds it: UTF-16, whose halves of one character may arrive in two chunks."""

from __future__ import annotations

import re

_HALF = re.compile("[\ud800-\udfff]")


def has_halves(text: str) -> bool:
    """Whether `text` holds surrogates, which UTF-8 (and so orjson) refuses."""
    return not text.isascii() and _HALF.search(text) is not None


def whole(text: str) -> str:
    """`text` with pairs of surrogates joined to the characters they mean; a lone half stays."""
    if not has_halves(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def units(text: str) -> list[str]:
    """The characters of `text` as JavaScript counts them; beyond the first plane two each."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return [chr(raw[at] | raw[at + 1] << 8) for at in range(0, len(raw), 2)]


def replace_halves(text: str) -> str:
    """`text` as UTF-8 can say it: U+FFFD where a half stands alone."""
    return _HALF.sub("\ufffd", whole(text)) if has_halves(text) else text
