"""A model that needs no account: `demo/assistant`, `demo/thinker` and `demo/echo`, as a custom provider of litellm.

It answers questions about chatagent, at a human pace, and calls an offered tool whose name fits the words of the
question. The same conversation always gets the same answer. The pace is seconds per word: `demo_pace_s=0.01`, or in
the model's name: `demo/assistant@0.01`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from chatagent.ids import new_id
from chatagent.llm.demo_answer import ANSWERS, FALLBACK, THOUGHTS

#: Seconds per word when nothing else is said.
PACE_S = 0.035
#: Words in tool names that say nothing about their subject.
_GENERIC = {
    "get",
    "fetch",
    "find",
    "search",
    "list",
    "show",
    "read",
    "current",
    "do",
    "run",
    "tool",
    "the",
    "my",
    "ask",
}
_MAX_CALLS = 2
#: Parameters that take the question as it is.
_QUESTIONS = {"query", "question", "q", "text", "search", "topic", "prompt", "message", "input"}

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the model is going to say."""

    text: str = ""
    reasoning: str = ""
    #: Name and arguments of the tools to call.
    calls: Sequence[tuple[str, dict[str, Any]]] = field(default_factory=tuple)


def plan(name: str, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> Plan:
    """Decide on an answer. `tools` are in OpenAI's form."""
    last_user = max((at for at, each in enumerate(messages) if each.get("role") == "user"), default=-1)
    question = _text(messages[last_user]) if last_user >= 0 else ""
    if name == "echo":
        return Plan(question or "There is nothing to echo.")
    reasoning = THOUGHTS.format(question=question.strip()) if name == "thinker" else ""
    results = [each for each in messages[last_user + 1 :] if each.get("role") == "tool"]
    if results:
        called = _called_names(messages[last_user + 1 :])
        return Plan("\n\n".join(_report(called.get(each["tool_call_id"], "The tool"), each) for each in results))
    fitting = [tool["function"] for tool in tools if _fits(tool["function"]["name"], question)][:_MAX_CALLS]
    if fitting:
        calls = [(each["name"], fill(each.get("parameters") or {}, question)) for each in fitting]
        return Plan("Let me look that up.", reasoning, calls)
    return Plan(_answer(question), reasoning)


def fill(schema: Mapping[str, Any], question: str) -> dict[str, Any]:
    """Arguments for a tool: its required parameters, taken from the question as well as can be."""
    properties = schema.get("properties") or {}
    return {name: _argument(name, properties.get(name) or {}, question) for name in schema.get("required") or ()}


async def stream(
    litellm: Any, model: str, messages: Sequence[Message], options: Mapping[str, Any]
) -> AsyncIterator[Any]:
    """The answer as litellm's chunks."""
    name, _, suffix = model.rpartition("/")[2].partition("@")
    pace_s = float(options.get("demo_pace_s", suffix or PACE_S))
    planned = plan(name, messages, options.get("tools") or ())

    def chunk(finish_reason: str | None = None, **delta: Any) -> Any:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return litellm.ModelResponseStream(model=model, choices=[choice])

    for field_name, text in (("reasoning_content", planned.reasoning), ("content", planned.text)):
        for word in _words(text):
            await asyncio.sleep(pace_s)
            yield chunk(**{field_name: word})
    for at, (tool, arguments) in enumerate(planned.calls):
        await asyncio.sleep(pace_s)
        function = {"name": tool, "arguments": orjson.dumps(arguments).decode()}
        call = {"index": at, "id": new_id("call_"), "type": "function", "function": function}
        yield chunk(tool_calls=[call])
    prompt = sum(len(_words(_text(each))) for each in messages)
    completion = len(_words(planned.reasoning + planned.text)) + len(planned.calls)
    last = chunk()
    last.usage = litellm.Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
    yield last
    yield chunk("tool_calls" if planned.calls else "stop")


def register(litellm: Any) -> None:
    """Teach litellm the provider `demo`; others that the deployment registered stay."""

    class Demo(litellm.CustomLLM):  # type: ignore[misc]  # the base exists only once litellm is loaded
        def astreaming(
            self, model: str, messages: list[Message], optional_params: Mapping[str, Any], **_: Any
        ) -> AsyncIterator[Any]:
            return stream(litellm, model, messages, optional_params)

    others = [each for each in litellm.custom_provider_map if each["provider"] != "demo"]
    litellm.custom_provider_map = [*others, {"provider": "demo", "custom_handler": Demo()}]


def _answer(question: str) -> str:
    asked = _word_set(question)
    best = max(ANSWERS, key=lambda known: len(asked & known.words))
    return best.text if asked & best.words else FALLBACK.format(question=question.strip() or "…")


def _fits(tool_name: str, question: str) -> bool:
    """Whether a subject that the tool's name has is in the question; a name of generic words needs all of them."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", tool_name)]
    asked = _word_set(question)
    subjects = [word for word in words if word not in _GENERIC]
    if subjects:
        return any(_stem(word) in asked for word in subjects)
    return bool(words) and all(_stem(word) in asked for word in words)


def _argument(name: str, schema: Mapping[str, Any], question: str) -> Any:
    if options := schema.get("enum"):
        return next((each for each in options if str(each).lower() in question.lower()), options[0])
    match schema.get("type"):
        case "integer" | "number":
            found = re.search(r"-?\d+(?:\.\d+)?", question)
            number = float(found[0]) if found else 1.0
            return int(number) if schema["type"] == "integer" else number
        case "boolean":
            return True
        case "array":
            return []
        case "object":
            return {}
    return question.strip() if name in _QUESTIONS else _phrase(question)


def _phrase(question: str) -> str:
    """What the question is about: something quoted, a name, or all of it."""
    if quoted := re.search(r"[\"“'‘]([^\"”'’]+)[\"”'’]", question):
        return quoted[1]
    name = r"[A-Z][\w-]*(?: [A-Z][\w-]*)*"
    if placed := re.search(rf"\b(?:in|at|for|of|to|about) ({name})", question):
        return placed[1]
    if named := re.search(rf"(?<=[\w,] )({name})", question):
        return named[1]
    return question.strip()


def _report(tool_name: str, message: Message) -> str:
    content = _text(message)
    try:
        result = orjson.loads(content)
    except orjson.JSONDecodeError:
        return f"`{tool_name}` says: {content}"
    if isinstance(result, dict):
        lines = [f"- **{name}**: {_plain(value)}" for name, value in result.items()]
        return "\n".join([f"Here is what `{tool_name}` found:", "", *lines])
    if isinstance(result, list):
        return "\n".join([f"Here is what `{tool_name}` found:", "", *(f"- {_plain(each)}" for each in result)])
    return f"`{tool_name}` says: {_plain(result)}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _called_names(messages: Sequence[Message]) -> dict[str, str]:
    calls = [call for each in messages for call in each.get("tool_calls") or ()]
    return {call["id"]: call["function"]["name"] for call in calls}


def _text(message: Message) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if part.get("type") == "text")


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def _word_set(text: str) -> set[str]:
    return {_stem(word) for word in re.findall(r"[a-z0-9]+", text.lower())}


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
