"""The commit of a turn: what is written, all or nothing. (The worker sends it through `lease`.)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from chatagent.redis.feed import outcome_fields
from chatagent.redis.keys import Keys
from chatagent.redis.script import Command, script
from chatagent.runtime.conversation import Changes
from chatagent.runtime.port import Claim, Commit
from chatagent.ui import encode


def commit_command(keys: Keys, commit: Commit, queue: str) -> Command:
    """End a turn; `queue` is consumed by the process that keeps the run warm. The answer is that of `commit.lua`."""
    claim = commit.claim
    session_id = claim.session_id
    headers = dict(commit.headers)
    if commit.consumed:
        # Who waits for one of these messages has its answer now.
        headers.setdefault("consumed", sorted({*commit.consumed}))
    closing = None if commit.close is None else orjson.dumps({"reason": commit.close} if commit.close else {})
    names = [
        keys.session(session_id),
        keys.inbox(session_id),
        keys.outbox(session_id),
        keys.history(session_id),
        keys.edits(session_id),
        keys.injected(session_id),
    ]
    args: list[Any] = [
        claim.epoch,
        claim.record.seq,
        commit.changes.keep,
        keys.out_channel(session_id),
        queue,
        max(0, int(commit.warm_s * 1000)),
        "" if commit.silent else orjson.dumps(headers),
        max(0, int(commit.run_s * 1000)),
        int(commit.counts),
        commit.injected,
        closing or "",
        commit.close or "",
        len(commit.consumed),
        *commit.consumed,
        *_edits(commit.changes, {**commit.fields, **outcome_fields(commit)}),
        *commit.records,
    ]
    return script("commit")(names, args)


def amend_command(
    keys: Keys, claim: Claim, changes: Changes, fields: Mapping[str, bytes], amendment: str, *, run_s: float | None
) -> Command:
    """Change what a turn has committed; the same `amendment` again changes nothing."""
    run_ms = "" if run_s is None else max(0, int(run_s * 1000))
    names = [keys.session(claim.session_id), keys.history(claim.session_id)]
    return script("amend")(names, [claim.epoch, amendment, changes.keep, run_ms, *_edits(changes, fields)])


def _edits(changes: Changes, fields: Mapping[str, bytes]) -> list[Any]:
    """Replaced messages, new messages and fields as the scripts take them: lists, each after its length."""
    return [
        len(changes.replaced),
        *[item for at, message in changes.replaced for item in (at, encode(message))],
        len(changes.appended),
        *[encode(message) for message in changes.appended],
        len(fields),
        *[item for pair in fields.items() for item in pair],
    ]
