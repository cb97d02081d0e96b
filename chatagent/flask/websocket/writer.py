"""The one writer of a WebSocket: collects the frames of all its requests and sends many of them at once."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from chatagent.errors import BadRequest, ChatAgentError, StoreDown
from chatagent.flask.feed import RETRY_S, SLICE_BYTES
from chatagent.flask.websocket.frame import error_reply
from chatagent.flask.websocket.stream import Stream
from chatagent.flask.websocket.wire import SafeSocket, text_frame

logger = logging.getLogger(__name__)

#: Bytes sent at once.
_ROUND_BYTES = 256 * 1024
#: Answers to single frames that wait for a client that does not read.
_MAX_REPLIES = 1000


class Writer:
    """Sends frames. Its thread lives only while there is something to follow: idle sockets have none.

    `sent` is called after each send that the peer took; `failed` once, with None when the peer is gone.
    """

    def __init__(
        self, sock: SafeSocket, *, sent: Callable[[], None], failed: Callable[[Exception | None], None]
    ) -> None:
        self.wake = threading.Event()
        self._sock = sock
        self._sent = sent
        self._failed = failed
        self._lock = threading.Lock()
        self._replies: deque[bytes] = deque()
        self._streams: dict[str, Stream] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self._store_down = False

    def __len__(self) -> int:
        return len(self._streams)

    def reply(self, frame: bytes) -> None:
        """Send one frame. Raises: BadRequest when the client asks much and reads nothing."""
        if len(self._replies) >= _MAX_REPLIES:
            raise BadRequest("too many frames are not read")
        self._replies.append(frame)
        self._awake()

    def add(self, stream: Stream) -> None:
        """Answer a request until it is done."""
        with self._lock:
            self._streams[stream.request_id] = stream
        self._awake()

    def get(self, request_id: str) -> Stream | None:
        """A request that is being answered."""
        return self._streams.get(request_id)

    def remove(self, request_id: str) -> Stream | None:
        """Answer a request no more."""
        with self._lock:
            stream = self._streams.pop(request_id, None)
        if stream is not None:
            stream.close()
        return stream

    def unfinished(self) -> list[Stream]:
        """Requests whose last frame was not given yet."""
        return list(self._streams.values())

    def close(self) -> None:
        """Answer nothing more."""
        self._closed = True
        self.wake.set()
        for request_id in list(self._streams):
            self.remove(request_id)

    def _awake(self) -> None:
        self.wake.set()
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="chatagent-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            while self._more():
                self.wake.clear()
                data = self._collect()
                if data:
                    self._sock.send(data)
                    self._sent()
                else:
                    self.wake.wait(RETRY_S if self._store_down else None)
        except OSError:
            self._failed(None)
        except Exception as error:
            logger.exception("websocket writer failed")
            self._failed(error)

    def _more(self) -> bool:
        with self._lock:
            if self._closed or not (self._streams or self._replies):
                self._thread = None
                return False
            return True

    def _collect(self) -> bytes:
        """The frames of one send; each request in turn, none for long."""
        frames = [text_frame(self._replies.popleft()) for _ in range(len(self._replies))]
        size = 0
        self._store_down = False
        for stream in list(self._streams.values()):
            if size >= _ROUND_BYTES:
                break
            part = [text_frame(payload) for payload in self._next(stream)]
            size += sum(map(len, part))
            frames += part
            if stream.done:
                self.remove(stream.request_id)
            elif part:
                self._to_the_end(stream)
        return b"".join(frames)

    def _next(self, stream: Stream) -> list[bytes]:
        try:
            return stream.frames(SLICE_BYTES)
        except StoreDown:
            self._store_down = True
            return []
        except ChatAgentError as error:
            self.remove(stream.request_id)
            return [error_reply(stream.request_id, error)]

    def _to_the_end(self, stream: Stream) -> None:
        with self._lock:
            if self._streams.pop(stream.request_id, None) is not None:
                self._streams[stream.request_id] = stream
