"""Names of everything in Redis. All keys of one session share the slot tag `{session_id}` (Redis Cluster)."""

from __future__ import annotations

from dataclasses import dataclass

#: Keys start with this unless the settings say otherwise.
DEFAULT_PREFIX = "chatagent"


@dataclass(frozen=True, slots=True)
class Keys:
    """The key space of one deployment."""

    prefix: str = DEFAULT_PREFIX

    def session(self, session_id: str) -> str:
        """HASH: identity, status, cursors, lease, run state."""
        return f"{self.prefix}:{{{session_id}}}:session"

    def inbox(self, session_id: str) -> str:
        """STREAM with ids `<seq+1>-0`, fields `k` kind, `p` payload JSON, `t` ms, `b` busy policy, in this order."""
        return f"{self.prefix}:{{{session_id}}}:in"

    def outbox(self, session_id: str) -> str:
        """STREAM with ids `<seq+1>-0`, field `r` = one record (see `chatagent.record`)."""
        return f"{self.prefix}:{{{session_id}}}:out"

    def history(self, session_id: str) -> str:
        """LIST of UIMessage JSON, oldest first."""
        return f"{self.prefix}:{{{session_id}}}:history"

    def edits(self, session_id: str) -> str:
        """HASH: what was changed in unread records: `p<seq>` payload, `b<seq>` busy policy, `t<seq>` id of the call."""
        return f"{self.prefix}:{{{session_id}}}:edits"

    def injected(self, session_id: str) -> str:
        """LIST of model messages as JSON that the next turn takes over, oldest first."""
        return f"{self.prefix}:{{{session_id}}}:inject"

    def part(self, session_id: str, part_id: str) -> str:
        """STRING with a TTL: what a send with this part id was answered."""
        return f"{self.prefix}:{{{session_id}}}:part:{part_id}"

    def cut(self, session_id: str) -> str:
        """STRING with a TTL: a reader of this session was cut off before its answer had ended."""
        return f"{self.prefix}:{{{session_id}}}:cut"

    def head_start(self, session_id: str) -> str:
        """STRING with a TTL: what an app's own server answers by itself, as JSON."""
        return f"{self.prefix}:{{{session_id}}}:head-start"

    def handed_over(self, session_id: str) -> str:
        """STRING with a TTL: which turn went on with a head start, and behind how many chunks, as JSON."""
        return f"{self.prefix}:{{{session_id}}}:handed-over"

    def ext(self, chat_id: str) -> str:
        """STRING: the session id of an app's own chat id."""
        return f"{self.prefix}:ext:{chat_id}"

    @property
    def leases(self) -> str:
        """ZSET session id → lease deadline in ms: where the sweeper looks for dead turns."""
        return f"{self.prefix}:leases"

    @property
    def queued(self) -> str:
        """ZSET session id → ms when a task was to come: where the sweeper looks for lost tasks."""
        return f"{self.prefix}:queued"

    def listing(self, *labels: str, status: str | None = None) -> str:
        """ZSET session id → last activity in ms: all sessions, or those of `agent:<id>`, `user:<id>`, `tag:<tag>`.

        With `status` (`waiting`, `closed`) those among them that may be so.
        """
        return ":".join((f"{self.prefix}:sessions{f'-{status}' if status else ''}", *(labels or ("all",))))

    def places(self, agent: str) -> str:
        """ZSET session id → ms until which it holds one of the agent's places."""
        return f"{self.prefix}:{{agent:{agent}}}:places"

    def waiting(self, agent: str) -> str:
        """ZSET session id → µs when it began to wait for a place."""
        return f"{self.prefix}:{{agent:{agent}}}:waiting"

    @property
    def agents(self) -> str:
        """HASH agent id → what a worker announced about it, as JSON."""
        return f"{self.prefix}:agents"

    @property
    def workers(self) -> str:
        """ZSET worker id → ms of its last heartbeat."""
        return f"{self.prefix}:workers"

    def out_channel(self, session_id: str) -> str:
        """PUB/SUB: the doorbell of an outbox; carries the new records."""
        return f"{self.prefix}:out:{session_id}"

    def feed_channel(self, *labels: str) -> str:
        """PUB/SUB: a chat of that listing changed, or the one with that id (`chat:<id>`) was made; carries its id."""
        return ":".join((f"{self.prefix}:feed", *(labels or ("all",))))

    def worker_channel(self, owner: str) -> str:
        """PUB/SUB: the doorbell of one worker process: a stop or a new message for a session that it holds."""
        return f"{self.prefix}:worker:{owner}"
