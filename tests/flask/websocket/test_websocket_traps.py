"""What goes wrong with flask-sock under gevent unless it is guarded against: each trap, with the guard in place."""

from __future__ import annotations

import base64
import os
import signal
import socket as sockets
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import orjson
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.flask.conftest import NewGateway
from tests.flask.gateway_process import GatewayProcess
from tests.flask.scripted_worker import ScriptedWorker, Turn, echo
from tests.flask.talk import Socket, socket, text_of, until

MB = 1_000_000
#: Seconds that answers get at a restart; and for what must not wait for that, however busy the machine is.
GRACE_S, AT_ONCE_S = 100, 50


@contextmanager
def raw_socket(gateway: GatewayProcess, *, receive_buffer: int = 4096) -> Iterator[sockets.socket]:
    """A WebSocket after its handshake, as a bare TCP connection that reads when the test says so."""
    with sockets.socket() as sock:
        sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive_buffer)
        sock.connect(("127.0.0.1", gateway.port))
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET /api/chat/ws?token={gateway.token()} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        assert b" 101 " in head
        yield sock


def masked(payload: bytes, opcode: int = 1) -> bytes:
    """A client's frame (its mask is zero, so the payload stays as it is)."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else struct.pack("!BH", 0x80 | 126, size)
    return bytes((0x80 | opcode,)) + length + b"\0\0\0\0" + payload


def read_exactly(sock: sockets.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        assert part, "the connection ended"
        data += part
    return bytes(data)


def frame_of(sock: sockets.socket) -> tuple[int, bytes]:
    """Opcode and payload of the next frame; fails on anything that is no frame of a server."""
    first, second = read_exactly(sock, 2)
    assert first & 0x70 == 0, "reserved bits are set: the stream is corrupt"
    assert first & 0x80, "a part of a message"
    assert second & 0x80 == 0, "a server masks nothing"
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", read_exactly(sock, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", read_exactly(sock, 8))
    return first & 0x0F, read_exactly(sock, size)


def send_frame(chat_id: str) -> bytes:
    message = {"id": "u1", "role": "user", "parts": [{"type": "text", "text": "hi"}]}
    return orjson.dumps(
        {
            "type": "send",
            "requestId": "r1",
            "id": chat_id,
            "trigger": "submit-message",
            "messages": [message],
            "headers": {},
            "body": {"agent": "echo"},
        }
    )


def flood(sock: sockets.socket, worker: ScriptedWorker, deltas: int) -> Turn:
    """Ask for an answer and let so many times 10 kB of it be written."""
    sock.sendall(masked(send_frame("c1")))
    turn = worker.claim()
    turn.append({"type": "start", "messageId": "a1"}, {"type": "text-start", "id": "t"})
    for _ in range(deltas):
        turn.append({"type": "text-delta", "id": "t", "delta": "x" * 10_000})
    return turn


def test_a_slow_reader_gets_every_frame_whole_in_bounded_memory(
    new_gateway: NewGateway, worker: ScriptedWorker
) -> None:
    # Given a reader that does not read, and a turn of 20 MB
    gateway = new_gateway()
    with raw_socket(gateway) as sock:
        before_mb = gateway.rss_mb()
        sock.sendall(masked(send_frame("c1")))
        turn = worker.claim()
        turn.append({"type": "start", "messageId": "a1"}, {"type": "text-start", "id": "t"})
        count, size = 2000, 10_000
        for at in range(count):
            turn.append({"type": "text-delta", "id": "t", "delta": f"{at:06}".ljust(size, "x")})
        turn.commit({"type": "text-end", "id": "t"}, {"type": "finish"})
        # When the gateway has heard of all of it
        with socket(gateway) as other:
            other.put("watch", requestId="w", id="c1", cursor=count)
            other.until("record")
        grown_mb = gateway.rss_mb() - before_mb
        # Then it keeps little of it, and the reader gets all of it once it reads
        assert grown_mb < 12, f"grew by {grown_mb:.1f} MB"
        sequences, deltas = [], []
        while True:
            opcode, payload = frame_of(sock)
            if opcode != 1:
                continue
            frame = orjson.loads(payload)
            if frame["type"] == "end":
                break
            if frame["type"] == "chunk":
                sequences.append(frame["sequence"])
                if frame["chunk"]["type"] == "text-delta":
                    deltas.append(int(frame["chunk"]["delta"][:6]))
    assert sequences == list(range(count + 4))
    assert deltas == list(range(count))


def test_a_slow_reader_may_still_stop(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with raw_socket(gateway) as sock:
        turn = flood(sock, worker, 200)
        sock.sendall(masked(b'{"type":"stop","requestId":"s","id":"c1"}'))
        until(lambda: turn.append({"type": "text-delta", "id": "t", "delta": "y"}), "the stop")


def test_one_slow_reader_does_not_hold_up_others(gateway: GatewayProcess, worker: ScriptedWorker) -> None:
    with raw_socket(gateway) as slow, socket(gateway) as quick:
        flood(slow, worker, 500)
        worker.serve(echo)
        quick.send("r1", "c2", "hello")
        assert text_of(quick.answer("r1")) == "You said: hello"


def test_a_peer_that_does_not_answer_pings_is_dropped(gateway_with: NewGateway) -> None:
    gateway = gateway_with(ping_interval_s=0.3)
    with raw_socket(gateway) as sock:
        sock.settimeout(10)
        assert frame_of(sock)[0] == 9
        frames = [frame_of(sock)]
        while frames[-1][0] != 8:
            frames.append(frame_of(sock))
        assert struct.unpack("!H", frames[-1][1][:2]) == (1008,)


def test_a_peer_that_answers_pings_stays(gateway_with: NewGateway) -> None:
    gateway = gateway_with(ping_interval_s=0.3)
    with raw_socket(gateway) as sock:
        sock.settimeout(10)
        for _ in range(5):
            opcode, payload = frame_of(sock)
            assert opcode == 9
            sock.sendall(masked(payload, opcode=10))


def test_a_peer_that_never_reads_is_dropped_at_last(gateway_with: NewGateway, worker: ScriptedWorker) -> None:
    gateway = gateway_with(ping_interval_s=0.3)
    with raw_socket(gateway) as sock:
        flood(sock, worker, 500)
        server = psutil.Process(gateway.worker_pid)
        port = sock.getsockname()[1]
        until(
            lambda: all(found.raddr.port != port for found in server.net_connections("tcp") if found.raddr),
            "the gateway to let go",
        )


def test_a_message_over_the_limit_closes_with_1009(gateway_with: NewGateway) -> None:
    gateway = gateway_with(max_frame_bytes=10_000)
    with socket(gateway) as ws:
        ws.ws.send("x" * 10_001)
        assert closed(ws) == (1009, "Message is too big")


def test_the_close_with_1009_arrives_while_the_message_is_still_being_sent(gateway_with: NewGateway) -> None:
    gateway = gateway_with(max_frame_bytes=10_000)
    with socket(gateway) as ws:
        with suppress(ConnectionClosed):
            ws.ws.send("x" * 3 * MB)
        assert closed(ws)[0] == 1009


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("no json", "the frame is not valid JSON"),
        ("[1]", "the frame must be a JSON object"),
        ('{"type":"shout"}', "type: must be one of"),
        ("{}", "type: must be one of"),
        ('{"type":"send","id":"c1"}', "requestId: must be a string"),
        ('{"type":"send","requestId":7,"id":"c1"}', "requestId: must be a string"),
        ('{"type":"resume","requestId":"r1"}', "id: must be a string"),
        ('{"type":"abort"}', "requestId: must be a string"),
        (b"\xff\xfe", "the frame is not valid JSON"),
        (r'{"type":"ping","requestId":"\ud800"}', "requestId: must not hold half a character"),
        (r'{"type":"watch","requestId":"r1","id":"\ud800"}', "id: must not hold half a character"),
        (r'{"type":"watch","requestId":"r1","tag":"\ud800"}', "tag: must not hold half a character"),
        (r'{"type":"auth","token":"\ud800"}', "token: must not hold half a character"),
    ],
)
def test_a_malformed_frame_closes_with_1008_and_a_reason(
    gateway: GatewayProcess, data: str | bytes, reason: str
) -> None:
    with socket(gateway) as ws:
        ws.ws.send(data)
        code, said = closed(ws)
        assert code == 1008
        assert said.startswith(reason)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_restart_closes_with_1012_at_once(new_gateway: NewGateway, number: signal.Signals) -> None:
    gateway = new_gateway(grace_s=GRACE_S)
    with socket(gateway) as idle, socket(gateway) as other:
        other.put("ping", requestId="p")
        other.get()
        gateway.signal(number)
        assert closed(idle) == (1012, "service restart")
        assert closed(other) == (1012, "service restart")
    if number == signal.SIGTERM:
        assert gateway.process.wait(AT_ONCE_S) == 0


def test_a_restart_reaches_a_socket_in_the_middle_of_an_answer(new_gateway: NewGateway, worker: ScriptedWorker) -> None:
    gateway = new_gateway(grace_s=GRACE_S)
    with socket(gateway) as ws, raw_socket(gateway) as stuck:
        ws.send("r1", "c1", "hi")
        turn = worker.claim()
        turn.append({"type": "start", "messageId": "a1"})
        ws.until("chunk")
        stuck.sendall(masked(send_frame("c2")))
        other = worker.claim()
        other.append({"type": "start", "messageId": "a1"}, {"type": "text-start", "id": "t"})
        for _ in range(500):
            other.append({"type": "text-delta", "id": "t", "delta": "x" * 10_000})
        gateway.signal(signal.SIGTERM)
        assert closed(ws)[0] == 1012
        assert gateway.process.wait(AT_ONCE_S) == 0


def test_a_peer_that_does_not_answer_the_close_holds_up_no_restart(new_gateway: NewGateway) -> None:
    gateway = new_gateway(grace_s=GRACE_S)
    with raw_socket(gateway) as sock:
        gateway.signal(signal.SIGTERM)
        assert frame_of(sock) == (8, struct.pack("!H", 1012) + b"service restart")
        assert gateway.process.wait(AT_ONCE_S) == 0


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_origin_is_refused_before_the_handshake(gateway: GatewayProcess, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, socket(gateway, origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_pages_of_our_own_and_of_listed_origins_may_connect(gateway_with: NewGateway) -> None:
    gateway = gateway_with(allowed_origins=["https://app.example"])
    for origin in (f"http://127.0.0.1:{gateway.port}", "https://app.example"):
        with socket(gateway, origin=origin) as ws:
            ws.put("ping", requestId="p")
            assert ws.get()["type"] == "pong"


def test_compression_is_not_taken(gateway: GatewayProcess) -> None:
    with socket(gateway, compression="deflate") as ws:
        assert ws.ws.protocol.extensions == []


@pytest.mark.parametrize(("token", "status"), [("garbage", 401), ("expired", 401)])
def test_a_token_that_is_no_good_is_refused_before_the_handshake(
    gateway: GatewayProcess, token: str, status: int
) -> None:
    shown = gateway.token(ttl_s=-60) if token == "expired" else token
    with pytest.raises(InvalidStatus) as refused, socket(gateway, token=shown):
        pass
    assert refused.value.response.status_code == status


def test_a_request_that_is_no_handshake_gets_a_plain_answer(gateway: GatewayProcess) -> None:
    with gateway.http(gateway.token()) as http:
        assert http.get("/api/chat/ws").status_code in (400, 404)
        broken = http.get("/api/chat/ws", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    assert broken.status_code == 400
    assert "error" in broken.json()


def test_an_error_inside_closes_with_1011_and_writes_no_http_into_the_socket(
    gateway: GatewayProcess, worker: ScriptedWorker
) -> None:
    worker.client.hset(worker.keys.agents, "broken", "this is no card")
    with raw_socket(gateway) as sock:
        sock.sendall(masked(send_frame("c1").replace(b'"echo"', b'"broken"')))
        opcode, payload = frame_of(sock)
        assert (opcode, payload) == (8, struct.pack("!H", 1011) + b"internal error")
        sock.settimeout(5)
        assert sock.recv(100) == b""


def test_a_client_that_floods_is_held_back_not_stored(new_gateway: NewGateway, worker: ScriptedWorker) -> None:
    gateway = new_gateway()
    frame = masked(b'{"type":"ping","requestId":"%b"}' % (b"p" * 200))
    with raw_socket(gateway) as sock:
        before_mb = gateway.rss_mb()
        sock.settimeout(0.5)
        try:
            for _ in range(200):
                sock.sendall(frame * 1000)  # 50 MB, never reading the answers
        except OSError:
            pass
        assert gateway.rss_mb() - before_mb < 15


def test_tokens_are_not_logged(new_gateway: NewGateway) -> None:
    gateway = new_gateway()
    token = gateway.token()
    with socket(gateway, token=token) as ws:
        ws.ws.send("no json")
        closed(ws)
    with pytest.raises(InvalidStatus), socket(gateway, token=token[:-3]):
        pass
    assert token[:-3] not in gateway.log()


def closed(ws: Socket) -> tuple[int, str]:
    """How the server closes."""
    with pytest.raises(ConnectionClosed) as ended:
        for _ in range(10_000):
            ws.ws.recv(timeout=30)
    close = ended.value.rcvd
    return (close.code, close.reason) if close is not None else (1006, "")
