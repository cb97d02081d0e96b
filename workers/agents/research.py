"""An agent that sends tasks out: each looks a subject up by itself and tells the chat how far it is.

The sources are the modules of Python's standard library, read as text: so it works without an account.
"""

from __future__ import annotations

import asyncio
import re
import sysconfig
from pathlib import Path

from pydantic import BaseModel, Field

from chatagent import ai, chat, step_count_is, stream_text, task
from chatagent.llm import StreamTextResult

#: Sources that are read for one question.
MAX_SOURCES = 4
_LIBRARY = Path(sysconfig.get_paths()["stdlib"])
_WORD = re.compile(r"[a-z]{4,}")
_DOCSTRING = re.compile(r"""^r?(\"{3}|'{3})(.*?)(?:\1|\Z)""", re.DOTALL | re.MULTILINE)


class Question(BaseModel):
    topic: str = Field(description="What to find out.")


class Source(BaseModel):
    name: str
    words: list[str]


class Finding(BaseModel):
    source: str
    summary: str


class Progress(BaseModel):
    """One card per source on the page; a chunk with the same id replaces the one before."""

    source: str
    status: str


async def tell(source: str, status: str) -> None:
    """Show how far a source is, in the chat at the top, from however deep a task."""
    progress = Progress(source=source, status=status).model_dump()
    await chat.stream.append({"type": "data-progress", "id": f"progress-{source}", "data": progress}, target="root")


def words_of(text: str) -> set[str]:
    """The words that say what a text is about."""
    return {word.removesuffix("s") for word in _WORD.findall(text.lower())}


def documentation(path: Path) -> str:
    """The docstring of a module, cut from the head of its file."""
    with path.open(encoding="utf-8", errors="replace") as file:
        found = _DOCSTRING.search(file.read(8_000))
    return found[2] if found else ""


def best_sources(topic: str) -> list[str]:
    """Modules whose name or first lines share words with the topic, best first."""
    asked, found = words_of(topic), {}
    for path in _LIBRARY.glob("[!_]*.py"):
        shared = len(asked & words_of(documentation(path)[:400])) + 2 * len(asked & words_of(path.stem))
        if shared:
            found[path.stem] = shared
    return sorted(found, key=lambda name: (-found[name], name))[:MAX_SOURCES]


@task("read-source", schema=Source, concurrency_limit=8)
async def read_source(source: Source) -> Finding:
    """Read one source and keep the lines that matter."""
    await tell(source.name, "reading")
    text = await asyncio.to_thread(documentation, _LIBRARY / f"{source.name}.py")
    lines = [line.strip() for line in text.splitlines() if words_of(line) & set(source.words)]
    await tell(source.name, "done")
    return Finding(source=source.name, summary=" ".join(lines)[:400] or text.split("\n\n")[0][:400])


@task("research-topic", schema=Question)
async def research_topic(question: Question) -> list[Finding]:
    """Research a topic in the standard library of Python: find sources, read them side by side, report."""
    names = await asyncio.to_thread(best_sources, question.topic)
    words = sorted(words_of(question.topic))
    reads = [read_source.trigger_and_wait(Source(name=name, words=words)) for name in names]
    return [result.unwrap() for result in await asyncio.gather(*reads)]


@chat.agent(
    "research",
    tools=[ai.tool(research_topic, name="research")],
    data_parts={"progress": Progress},
    examples=["Research queues that are safe for threads.", "Research how to parse email messages."],
)
async def research(turn: chat.Turn[None]) -> StreamTextResult:
    """Looks things up with subtasks that report as they go."""
    return stream_text(turn.model, turn.messages, stop_when=step_count_is(6))
