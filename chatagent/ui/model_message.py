"""UI messages as model messages: the OpenAI chat form that litellm takes.

Follows `convertToModelMessages` and the OpenAI-compatible provider of the AI SDK (7.0.173 and 3.0.92), except where
those send what OpenAI refuses: tool calls without a result and user messages without content are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import orjson

from chatagent.errors import BadRequest
from chatagent.ui.encode import encode_value
from chatagent.ui.file_part import file_content
from chatagent.ui.steering import PENDING_INJECTED, STEERING, steered_parts
from chatagent.ui.tool_part import DENIED, is_tool, tool_name
from chatagent.ui.utf16 import replace_halves

UIMessage = dict[str, Any]
ModelMessage = dict[str, Any]
Part = dict[str, Any]
ConvertDataPart = Callable[[Part], Part | None]

#: Provider metadata under this name is put into the provider's own JSON (`cache_control`, …).
_SPREAD = "openaiCompatible"
#: States of a call that will not change any more, or that only the server changes.
_FINAL = ("approval-responded", "output-error", "output-denied")
_UNAVAILABLE = "Tool output omitted because the tool is no longer available."


def to_model_messages(
    messages: Sequence[UIMessage],
    *,
    ignore_incomplete_tool_calls: bool = False,
    convert_data_part: ConvertDataPart | None = None,
    keep_tool_calls: Collection[str] = (),
    tool_outputs: Mapping[str, Callable[[Any], Any]] | None = None,
    omit_old_files: bool = False,
) -> list[ModelMessage]:
    """The conversation as a model is told it.

    Calls without a result are dropped, unless their ids are in `keep_tool_calls` (because they are about to be
    executed); with `ignore_incomplete_tool_calls` those with a preliminary result as well. `convert_data_part` makes
    a `{"type": "text", …}` or file part of a data part. `tool_outputs` say per tool what the model sees of an output.
    With `omit_old_files` a file that no model takes is only named, except in the last user message: so it fails the
    turn that brings it, not all later ones. Raises: BadRequest for a role or a file that no model takes.
    """
    users = [at for at, message in enumerate(messages) if message.get("role") == "user"]
    converter = _Converter(
        ignore_incomplete_tool_calls, convert_data_part, set(keep_tool_calls), tool_outputs or {}, omit_old_files
    )
    found: list[ModelMessage] = []
    for at, message in enumerate(messages):
        match message.get("role"):
            case "system":
                found.append(_system(message))
            case "user":
                parts = message.get("parts", ())
                found += converter.user(_name_odd_files(parts) if omit_old_files and at < users[-1] else parts)
            case "assistant":
                # What was asked for approval before a later question was left unanswered.
                found += converter.assistant(message.get("parts") or (), stale=bool(users) and at < users[-1])
            case role:
                raise BadRequest(f"must be system, user or assistant, not {role!r}", field="role")
    return [_well_formed(message) for message in found]


class _Converter:
    def __init__(
        self,
        complete_only: bool,
        convert_data_part: ConvertDataPart | None,
        keep: set[str],
        outputs: Mapping[str, Callable[[Any], Any]],
        name_files: bool,
    ) -> None:
        self._complete_only = complete_only
        self._convert_data_part = convert_data_part
        self._keep = keep
        self._outputs = outputs
        self._name_files = name_files

    def user(self, parts: Sequence[Part]) -> list[ModelMessage]:
        """One message, or none when nothing is said."""
        said = [one for part in parts if (one := self._said(part)) is not None]
        content = [part for part in said if part["type"] != "text" or part["text"]]
        if not content:
            return []
        only_text = len(content) == 1 and content[0]["type"] == "text"
        if only_text and not any(part["type"] == "file" for part in parts):
            text = dict(content[0])
            del text["type"]
            return [{"role": "user", "content": text.pop("text"), **text}]
        return [{"role": "user", "content": content}]

    def assistant(self, parts: Sequence[Part], *, stale: bool) -> list[ModelMessage]:
        """One message per step, each followed by the results of its calls."""
        found: list[ModelMessage] = []
        block: list[Part] = []
        for part in [*parts, {"type": "step-start"}]:
            if part["type"] in ("step-start", STEERING, PENDING_INJECTED):
                found += self._block(block, stale)
                block = []
                for said in steered_parts(part):
                    found += self.user(_name_odd_files(said) if self._name_files else said)
            else:
                block.append(part)
        return found

    def _said(self, part: Part) -> Part | None:
        """A user's part as content; None for what is not for the model."""
        if part["type"].startswith("data-"):
            converted = self._convert_data_part(part) if self._convert_data_part else None
            if converted is None:
                return None
            part = converted
        if part["type"] == "text":
            return {"type": "text", "text": part.get("text", ""), **_spread(part.get("providerMetadata"))}
        if part["type"] == "file":
            return {**file_content(part), **_spread(part.get("providerMetadata"))}
        return None

    def _block(self, block: Sequence[Part], stale: bool) -> list[ModelMessage]:
        text, reasoning, said = "", "", False
        calls: list[Part] = []
        results: list[ModelMessage] = []
        signed = [found for part in block if part["type"] == "reasoning" and (found := _signed(part))]
        for part in block:
            if part["type"].startswith("data-") and self._convert_data_part:
                part = self._convert_data_part(part) or part
            if part["type"] in ("text", "reasoning"):
                said = True
                text += part.get("text", "") if part["type"] == "text" else ""
                reasoning += part.get("text", "") if part["type"] == "reasoning" else ""
            elif part["type"] in ("file", "reasoning-file", "custom"):
                said = True
            elif is_tool(part) and self._shown(part, stale):
                calls.append(_call(part))
                results += self._result(part)
        if not (said or calls):
            return []
        message: ModelMessage = {"role": "assistant", "content": text or (None if calls else "")}
        if reasoning:
            message["reasoning_content"] = reasoning
        if signed:
            message["thinking_blocks"] = signed
        if calls:
            message["tool_calls"] = calls
        return [message, *results]

    def _shown(self, part: Part, stale: bool) -> bool:
        state, approved = part["state"], (part.get("approval") or {}).get("approved")
        if state == "input-streaming" or (stale and state == "approval-requested"):
            return False
        final = state in _FINAL or (state == "output-available" and not part.get("preliminary"))
        if self._complete_only and not final:
            return False
        # The provider knows what it executed itself; of ours, nothing is told without its result.
        answered = state.startswith("output-") or (state == "approval-responded" and approved is False)
        return answered or part.get("providerExecuted") is True or part["toolCallId"] in self._keep

    def _result(self, part: Part) -> list[ModelMessage]:
        content = self._outcome(part)
        if content is None:
            return []
        spread = _spread(part.get("callProviderMetadata"))
        return [{"role": "tool", "tool_call_id": part["toolCallId"], "content": content, **spread}]

    def _outcome(self, part: Part) -> Any:
        """What the model is told of a call; None while it has no answer, or when the provider knows it already."""
        approval = part.get("approval") or {}
        if part["state"] == "approval-responded":
            return None if approval.get("approved") else _reason(approval)
        if part.get("providerExecuted") is True:
            return None
        match part["state"]:
            case "output-error":
                return part.get("errorText", "")
            case "output-denied":
                return _reason(approval)
            case "output-available":
                return self._output(part)
        return None

    def _output(self, part: Part) -> Any:
        shown = self._outputs.get(tool_name(part))
        if shown is None and part["type"] == "dynamic-tool" and part.get("dynamic") is False:
            return _UNAVAILABLE
        output = part.get("output")
        return model_output(output) if shown is None else model_output(shown(output), content=True)


def model_output(output: Any, *, content: bool = False) -> Any:
    """A tool's output as the content of its tool message: text as it is, else JSON.

    With `content`, because somebody chose this form for the model, a list of content parts stays one.
    """
    if isinstance(output, str):
        return output
    if content and isinstance(output, list) and output and all(_is_content(part) for part in output):
        return output
    return encode_value(output).decode()


def _signed(part: Part) -> Part | None:
    """Reasoning with its signature, in the form in which Anthropic wants it back (through litellm)."""
    metadata = (part.get("providerMetadata") or {}).get("anthropic")
    if not isinstance(metadata, dict):
        return None
    if data := metadata.get("redactedData"):
        return {"type": "redacted_thinking", "data": data}
    if signature := metadata.get("signature"):
        return {"type": "thinking", "thinking": part.get("text", ""), "signature": signature}
    return None


def _reason(approval: Part) -> Any:
    return DENIED if approval.get("reason") is None else approval["reason"]


def _is_content(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in ("text", "image_url", "input_audio", "file")


def _name_odd_files(parts: Sequence[Part]) -> list[Part]:
    """The parts, with a text in place of each file that no model takes."""
    named: list[Part] = []
    for part in parts:
        try:
            if part["type"] == "file":
                file_content(part)
        except BadRequest:
            name = part.get("filename") or part.get("mediaType") or "without a name"
            part = {"type": "text", "text": f"[a file was left out here: {name}]"}
        named.append(part)
    return named


def _system(message: UIMessage) -> ModelMessage:
    texts = [part for part in message.get("parts", ()) if part["type"] == "text"]
    metadata: dict[str, Any] = {}
    for part in texts:
        metadata |= part.get("providerMetadata") or {}
    return {"role": "system", "content": "".join(part["text"] for part in texts), **_spread(metadata)}


def _call(part: Part) -> Part:
    metadata = part.get("callProviderMetadata")
    if metadata is None and part["state"] == "output-error":
        metadata = part.get("resultProviderMetadata")
    call = {
        "id": part["toolCallId"],
        "type": "function",
        "function": {"name": tool_name(part), "arguments": _arguments(part)},
        **_spread(metadata),
    }
    signature = ((metadata or {}).get("google") or {}).get("thoughtSignature")
    return call | ({"extra_content": {"google": {"thought_signature": str(signature)}}} if signature else {})


def _arguments(part: Part) -> str:
    """The input as JSON; a string that is JSON already stays as it is, a missing one is an empty object."""
    given = part.get("input")
    if given is None and part["state"] == "output-error":
        given = part.get("rawInput")
    if given is None:
        return "null" if ("rawInput" if part["state"] == "output-error" else "input") in part else "{}"
    if isinstance(given, str):
        try:
            orjson.loads(given)
        except orjson.JSONDecodeError:
            return orjson.dumps(given).decode()
        return given
    return encode_value(given).decode()


def _well_formed(value: Any) -> Any:
    """`value` without halves of characters, which no provider could be sent."""
    if isinstance(value, str):
        return replace_halves(value)
    if isinstance(value, dict):
        return {name: _well_formed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_well_formed(item) for item in value]
    return value


def _spread(metadata: Any) -> Part:
    found = (metadata or {}).get(_SPREAD)
    return dict(found) if isinstance(found, dict) else {}
