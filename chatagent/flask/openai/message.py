"""OpenAI's messages and input items as UI messages. Pure.

Sources: OpenAI API reference, "Create chat completion" (`messages`) and "Create a model response" (`input`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from chatagent.errors import BadRequest
from chatagent.flask.message import MAX_PARTS
from chatagent.flask.openai.call_id import bare_call_id

UIMessage = dict[str, Any]
Part = dict[str, Any]

_TEXT = ("text", "input_text", "output_text", "refusal")
#: Items of a response that say nothing that a chat keeps.
_SKIPPED = ("reasoning", "item_reference", "mcp_approval_request", "mcp_list_tools")


@dataclass(slots=True)
class Said:
    """A client's messages: `messages` without ids; one role never follows itself."""

    messages: list[UIMessage] = field(default_factory=list)
    #: What system and developer messages say.
    instructions: str = ""
    #: Answers to tool calls after the last message of the user: call id (as the client knows it) → output.
    outputs: dict[str, Any] = field(default_factory=dict)
    #: Answers to approvals: approval id → (approved, reason).
    approvals: dict[str, tuple[bool, str | None]] = field(default_factory=dict)

    @property
    def answers(self) -> bool:
        """The client answers tool calls; it says nothing new."""
        return bool(self.outputs or self.approvals)

    @property
    def answers_itself(self) -> bool:
        """What is answered are calls in the last message here, the assistant's; approvals are kept by chats alone."""
        parts = self.messages[-1]["parts"] if self.messages else ()
        calls = {part.get("toolCallId") for part in parts}
        return not self.approvals and all(bare_call_id(call_id) in calls for call_id in self.outputs)


def read_messages(items: Any, field_name: str) -> Said:
    """Read `messages` of a chat completion, or `input` of a response. Raises: BadRequest."""
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    if not isinstance(items, list) or not items:
        raise BadRequest("must be a list of messages that is not empty", field=field_name)
    said, instructions = Said(), list[str]()
    for at, item in enumerate(items):
        where = f"{field_name}[{at}]"
        if not isinstance(item, dict):
            raise BadRequest("must be an object", field=where)
        _read_item(said, instructions, item, where)
    said.instructions = "\n\n".join(text for text in instructions if text)
    if not said.messages and not said.answers:
        raise BadRequest("holds no message of the user and no answer to a tool call", field=field_name)
    return said


def _read_item(said: Said, instructions: list[str], item: dict[str, Any], where: str) -> None:
    kind = item.get("type", "message")
    if kind == "function_call":
        _add(said, "assistant", [_call(item.get("call_id"), item.get("name"), item.get("arguments"), where)])
    elif kind == "function_call_output":
        _output(said, item.get("call_id"), item.get("output"), where)
    elif kind == "mcp_approval_response":
        _approval(said, item, where)
    elif kind == "message":
        _message(said, instructions, item, where)
    elif kind not in _SKIPPED:
        raise BadRequest(f"items of type {kind!r} are not taken", field=f"{where}.type")


def _message(said: Said, instructions: list[str], item: dict[str, Any], where: str) -> None:
    role, content = item.get("role"), item.get("content")
    match role:
        case "system" | "developer":
            instructions.append("".join(part.get("text", "") for part in _parts(content, where)))
        case "user":
            said.outputs, said.approvals = {}, {}
            _add(said, "user", _parts(content, where))
        case "assistant":
            said.outputs, said.approvals = {}, {}
            _add(said, "assistant", [*_parts(content, where), *_calls(item.get("tool_calls"), where)])
        case "tool":
            _output(said, item.get("tool_call_id"), content, where)
        case _:
            raise BadRequest("must be user, assistant, tool, system or developer", field=f"{where}.role")


def _add(said: Said, role: str, parts: list[Part]) -> None:
    if role == "assistant" and parts:
        parts = [{"type": "step-start"}, *parts]
    if said.messages and said.messages[-1]["role"] == role:
        said.messages[-1]["parts"] += parts
    else:
        said.messages.append({"role": role, "parts": parts})
    if len(said.messages[-1]["parts"]) > MAX_PARTS:
        raise BadRequest(f"one message has more than {MAX_PARTS} parts")


def _calls(calls: Any, where: str) -> list[Part]:
    if calls is None:
        return []
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise BadRequest("must be a list of objects", field=f"{where}.tool_calls")
    found = [(call.get("id"), _object(call, "function", where)) for call in calls]
    return [_call(call_id, how.get("name"), how.get("arguments"), where) for call_id, how in found]


def _call(call_id: Any, name: Any, arguments: Any, where: str) -> Part:
    if not isinstance(call_id, str) or not isinstance(name, str):
        raise BadRequest("a tool call needs an id and a name", field=where)
    named = {"type": f"tool-{name}", "toolCallId": bare_call_id(call_id)}
    return {**named, "state": "input-available", "input": _json(arguments)}


def _json(text: Any) -> Any:
    """Arguments as models write them; what is no JSON is kept as it is."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return text


def _output(said: Said, call_id: Any, content: Any, where: str) -> None:
    if not isinstance(call_id, str):
        raise BadRequest("the answer to a tool call needs the id of the call", field=where)
    told = "".join(part.get("text", "") for part in _parts(content, where))
    said.outputs[call_id] = told
    for part in said.messages[-1]["parts"] if said.messages else ():
        if part.get("toolCallId") == bare_call_id(call_id):
            part.update(state="output-available", output=told)


def _approval(said: Said, item: dict[str, Any], where: str) -> None:
    asked, approved, reason = item.get("approval_request_id"), item.get("approve"), item.get("reason")
    if not isinstance(asked, str) or not isinstance(approved, bool):
        raise BadRequest("needs approval_request_id and approve (true or false)", field=where)
    said.approvals[asked] = (approved, reason if isinstance(reason, str) else None)


def _parts(content: Any, where: str) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise BadRequest("must be a string or a list of parts", field=f"{where}.content")
    return [_part(part, f"{where}.content[{at}]") for at, part in enumerate(content)]


def _part(part: dict[str, Any], where: str) -> Part:
    kind = part.get("type")
    if kind in _TEXT:
        text = part.get("refusal") if kind == "refusal" else part.get("text")
        if not isinstance(text, str):
            raise BadRequest("must be a string", field=f"{where}.text")
        return {"type": "text", "text": text}
    found = _file(kind, part, where)
    if found is None:
        raise BadRequest(f"parts of type {kind!r} are not taken", field=f"{where}.type")
    media_type, url, name = found
    if not isinstance(url, str):
        raise BadRequest("needs its data or a URL; stored files (file_id) are not known here", field=where)
    named = {"filename": name} if isinstance(name, str) else {}
    return {"type": "file", "mediaType": _declared(url) or media_type, "url": url, **named}


def _object(holder: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """An object that may be missing. Raises: BadRequest."""
    value = holder.get(name)
    if not isinstance(value, dict | None):
        raise BadRequest("must be an object", field=f"{where}.{name}")
    return value or {}


def _file(kind: Any, part: dict[str, Any], where: str) -> tuple[str, Any, Any] | None:
    """Media type, URL and name of a part that carries a file."""
    match kind:
        case "image_url" | "input_image":
            image = part.get("image_url")
            return "image/*", image.get("url") if isinstance(image, dict) else image, None
        case "input_audio":
            audio = _object(part, "input_audio", where)
            media_type = f"audio/{audio.get('format', 'wav')}"
            return media_type, f"data:{media_type};base64,{audio.get('data', '')}", None
        case "file" | "input_file":
            file = _object(part, "file", where) or part
            return "application/pdf", file.get("file_data") or file.get("file_url"), file.get("filename")
    return None


def _declared(url: str) -> str | None:
    """The media type that a data URL says."""
    return url[5:].split(",")[0].split(";")[0] or None if url.startswith("data:") else None
