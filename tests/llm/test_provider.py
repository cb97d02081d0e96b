"""The door to litellm: what is loaded when, and what becomes of its errors and deltas."""

from __future__ import annotations

import subprocess
import sys

import pytest

from chatagent.llm import ModelError
from chatagent.llm.delta import Delta
from chatagent.llm.provider import model_error, read_delta
from chatagent.llm.step import StepWriter
from tests.llm.model import Chunk, Model


def test_importing_the_package_does_not_import_litellm() -> None:
    code = "import sys, chatagent.llm; sys.exit('litellm' in sys.modules or 'openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_litellm_is_imported_in_one_place() -> None:
    code = (
        "import ast, pathlib, chatagent.llm as llm\n"
        "for path in pathlib.Path(llm.__file__).parent.glob('*.py'):\n"
        "    for node in ast.walk(ast.parse(path.read_text())):\n"
        "        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []\n"
        "        if 'litellm' in names: print(path.name)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["provider.py"]


def test_the_message_of_the_provider_is_found_under_those_of_the_libraries() -> None:
    inner = ValueError("Error code: 500")
    inner.body = {"message": "try again"}  # type: ignore[attr-defined]
    outer = RuntimeError("litellm.Something: ValueError: Error code: 500")
    outer.status_code = 500  # type: ignore[attr-defined]
    outer.__cause__ = inner
    found = model_error(outer)
    assert (str(found), found.status_code, found.retryable) == ("try again", 500, True)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (404, False),
        (408, True),
        (409, True),
        (429, True),
        (500, True),
        (529, True),
        (None, True),
    ],
)
def test_which_statuses_may_be_tried_again(status: int | None, retryable: bool) -> None:
    error = RuntimeError("x")
    error.status_code = status  # type: ignore[attr-defined]
    assert model_error(error).retryable is retryable


def test_a_refusal_carries_the_status_and_the_providers_words(model: Model) -> None:
    result = model.stream([{"http": 401, "body": {"error": {"message": "bad key", "type": "auth"}}}])

    async def text() -> str:
        return await result.text

    with pytest.raises(ModelError, match=r"^bad key$") as caught:
        model.run(text())
    assert caught.value.status_code == 401
    assert caught.value.__cause__ is not None


class FakeDelta:
    """As much of litellm's delta as is read."""

    def __init__(self, **extra: object) -> None:
        self.model_extra = extra


def test_sources_and_images_become_chunks() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "Example"}}
    image = {"image_url": {"url": "data:image/png;base64,AAAA"}}
    source, picture = read_delta(FakeDelta(annotations=[cited], images=[image])).chunks
    assert (source["type"], source["url"], source["title"]) == ("source-url", "https://example.com", "Example")
    assert picture == {"type": "file", "url": "data:image/png;base64,AAAA", "mediaType": "image/png"}


def test_signed_reasoning_goes_back_with_the_calls() -> None:
    chunks: list[Chunk] = []
    writer = StepWriter({}, lambda chunk, **_: chunks.append(chunk), iter("abcdef").__next__)
    for block in ({"thinking": "a"}, {"thinking": "b"}, {"thinking": "", "signature": "s"}, {"thinking": "c"}):
        writer.add(Delta(content="x", thinking_blocks=[{"type": "thinking", **block}]))
    writer.close()
    assert writer.step.messages()[0]["thinking_blocks"] == [
        {"type": "thinking", "thinking": "ab", "signature": "s"},
        {"type": "thinking", "thinking": "c"},
    ]
