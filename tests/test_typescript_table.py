"""The table from TypeScript to Python: every Python name in it exists."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest

import chatagent
from chatagent.agent.agent import AgentKeywords
from chatagent.agent.turn import Turn
from tests.stack import REPOSITORY

_TABLE = (REPOSITORY / "docs" / "typescript.md").read_text("utf-8").split("## What is not here")[0]
_ROWS = [line.strip("|").split(" | ") for line in _TABLE.replace("\\|", "/").splitlines() if line.startswith("| ")]
_PYTHON = [row[1].strip() for row in _ROWS if row[0].strip() != "TypeScript"]
#: `chat.history.set`, `ai.tool`, `sessions.start`, `turn.signal` as they stand in code.
_NAMES = sorted(
    {
        name
        for cell in _PYTHON
        for code in re.findall(r"`([^`]+)`", cell)
        for name in re.findall(r"(?<![\w.\"])(?:chat|ai|sessions|auth|turn)(?:\.[A-Za-z_]+)+", code)
    }
)


#: What the docs that people port from call, and the options and fields that they name.
_PORTED = """
chat.agent chat.task chat.pipe chat.pipeAndCapture chat.createSession chat.messages chat.createStopSignal
chat.writeTurnComplete chat.MessageAccumulator chat.cleanupAbortedParts chat.isStopped chat.local chat.defer chat.inject
chat.response.write chat.stream.writer chat.stream.pipe chat.stream.append chat.stream.read chat.prompt
chat.setTurnTimeout chat.setWarmTimeoutInSeconds chat.setUIMessageStreamOptions chat.toStreamTextOptions
chat.withUIMessage chat.createStartSessionAction ai.toolExecute ai.tool ai.toolCallId ai.chatContext
ai.chatContextOrThrow ai.currentToolOptions auth.createPublicToken auth.createTriggerPublicToken sessions.list
local.init local.get local.hasChanged writer.write turn.complete turn.done turn.addResponse turn.setMessages
turn.number turn.chatId turn.trigger turn.clientData turn.messages turn.uiMessages turn.signal turn.stopped
turn.continuation messages.waitWithWarmup messages.waitWithIdleTimeout stop.signal stop.reset stop.cleanup
conversation.addIncoming conversation.addResponse conversation.uiMessages conversation.modelMessages AbortSignal.any
task schemaTask trigger triggerAndWait tool streamText stepCountIs convertToModelMessages generateId
onPreload onChatStart onTurnStart onBeforeTurnComplete onTurnComplete onBoot onRecoveryBoot onAction onCompacted
onChatSuspend onChatResume onWait onValidateMessages hydrateMessages prepareMessages
clientDataSchema uiMessageStreamOptions onError sendReasoning sendSources maxTurns turnTimeout idleTimeoutInSeconds
warmTimeoutInSeconds timeout maxAttempts concurrencyLimit abortSignal stopWhen inputSchema execute description target
transient stopSignal cancelSignal chatAccessToken lastEventId newMessages newUIMessages responseMessage
rawResponseMessage preloaded runId ctx messageId ChatTaskPayload ChatTaskWirePayload scopes expirationTime
waitUntilComplete isAborted onFinish spanName body useChat TriggerChatTransport useTriggerChatTransport preload
externalId createdAt closedAt
"""


def test_what_people_port_stands_in_the_table() -> None:
    words = {name.rsplit(".", maxsplit=1)[-1] for name in _PORTED.split()}
    assert {word for word in words if not re.search(rf"(?<![A-Za-z]){word}(?![A-Za-z])", _TABLE)} == set()


def _find(name: str) -> Any:
    head, *rest = name.split(".")
    found: Any = Turn if head == "turn" else getattr(chatagent, head)
    for each in rest:
        if found is Turn and each in Turn.__dataclass_fields__:
            return Turn.__dataclass_fields__[each]
        found = getattr(found, each) if not isinstance(found, str) else import_module(found)
    return found


@pytest.mark.parametrize("name", _NAMES)
def test_a_name_of_the_table_exists(name: str) -> None:
    if name.startswith("chat.history."):
        assert hasattr(chatagent.chat.History, name.removeprefix("chat.history."))
    elif name.startswith("turn."):
        methods = ("complete",)  # of the turns of a custom loop
        attribute = name.split(".")[1]
        assert attribute in Turn.__dataclass_fields__ or hasattr(Turn, attribute) or attribute in methods
    else:
        assert _find(name) is not None


def test_the_hooks_and_options_of_the_table_are_those_of_agents() -> None:
    options = set(re.findall(r"`(\w+)=", " ".join(_PYTHON)))
    known = set(AgentKeywords.__annotations__)
    wanted = {"data_parts", "message_metadata_schema", "stream_options", "concurrency_limit", "max_attempts", "queue"}
    assert wanted <= options & (known | {"client_data"})
