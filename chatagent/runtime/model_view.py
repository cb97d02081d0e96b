"""The conversation of a turn as its model reads it: with its tools' own outputs, its summaries and injections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatagent.llm import Tool
from chatagent.llm.tool import told_by
from chatagent.runtime.lane import model_messages
from chatagent.runtime.run import Run
from chatagent.ui import to_model_messages
from chatagent.ui.tool_part import tool_name

UIMessage = dict[str, Any]
ModelMessage = dict[str, Any]


class ModelView:
    """Makes model messages for one turn."""

    def __init__(self, run: Run) -> None:
        self.tools: dict[str, Tool] = {}
        self._run = run

    def convert(self, messages: Sequence[UIMessage]) -> list[ModelMessage]:
        """The whole conversation, summed up where the run has it so."""
        return model_messages(messages, self._run.lane, self.plain)

    def plain(self, messages: Sequence[UIMessage]) -> list[ModelMessage]:
        """These messages and nothing else."""
        last = messages[-1] if messages else {}
        pending = [part["toolCallId"] for part in last.get("parts", ()) if self._runnable(part)]
        outputs = told_by(self.tools)
        return to_model_messages(list(messages), keep_tool_calls=pending, tool_outputs=outputs, omit_old_files=True)

    def _runnable(self, part: dict[str, Any]) -> bool:
        """A call that is owed an execution by the server: approved or denied, or cut off by a crash."""
        if part.get("state") == "approval-responded":
            return True
        tool = self.tools.get(tool_name(part)) if part.get("state") == "input-available" else None
        return tool is not None and tool.execute is not None
