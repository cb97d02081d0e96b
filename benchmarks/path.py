"""The path of one message, measured: `python -m benchmarks.path`. Everything runs on this machine.

1. first chunk: a send to an idle, warm chat until its first chunk and first token are at the client;
2. flat out: many chats stream as fast as they can;
3. paced: many chats stream at a model's pace; are they complete, and how late are they?
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence

from benchmarks.client import Answer, connect
from benchmarks.stack import Stack, running


async def first_chunk(stack: Stack, rounds: int) -> None:
    """Time from send to first chunk and first token, one message at a time."""
    socket = await connect(stack.url, stack.token)
    frames, tokens = [], []
    for n in range(rounds + 10):
        answer = await socket.send("bench-first", "1 0")
        await answer.done.wait()
        if n >= 10:
            frames.append(answer.first_frame_at - answer.sent_at)
            tokens.append(answer.first_token_at - answer.sent_at)
        await asyncio.sleep(0.02)  # the hooks of the last turn are over: the chat is idle
    await socket.close()
    print(f"first chunk   p50 {_ms(frames, 50)}  p95 {_ms(frames, 95)}   ({rounds} sends to an idle, warm chat)")
    print(f"first token   p50 {_ms(tokens, 50)}  p95 {_ms(tokens, 95)}")


async def stream(stack: Stack, label: str, chats: int, sockets: int, tokens: int, every_ms: float) -> None:
    """Many chats at once; prints rates, completeness, lag and CPU per token."""
    opened = [await connect(stack.url, stack.token) for _ in range(sockets)]
    warm = [await opened[n % sockets].send(f"{label}-{n}", "1 0") for n in range(chats)]
    await _all(warm)
    before, began = stack.cpu_s(), time.time()
    answers = [await opened[n % sockets].send(f"{label}-{n}", f"{tokens} {every_ms}") for n in range(chats)]
    await _all(answers)
    seconds, after = time.time() - began, stack.cpu_s()
    _report(label, answers, chats * tokens, seconds)
    cost = "  ".join(f"{role} {(after[role] - before[role]) / (chats * tokens) * 1e6:.1f}" for role in before)
    print(f"              µs of CPU per token: {cost}")
    await asyncio.gather(*[socket.close() for socket in opened])


def _report(label: str, answers: Sequence[Answer], wanted: int, seconds: float) -> None:
    got, frames = sum(answer.tokens for answer in answers), sum(answer.frames for answer in answers)
    failed = [answer.failed for answer in answers if answer.failed]
    lags = sorted(lag for answer in answers for lag in answer.lags_s)
    whole = "complete" if got == wanted and not failed else f"INCOMPLETE {got}/{wanted} {failed[:1]}"
    print(f"{label:<13} {len(answers)} chats, {got / seconds:,.0f} tokens/s, {frames / seconds:,.0f} frames/s, {whole}")
    waits = [answer.first_frame_at - answer.sent_at for answer in answers]
    print(f"              first chunk of a chat: p50 {_ms(waits, 50)}  p99 {_ms(waits, 99)}")
    print(f"              lag of a token: p50 {_ms(lags, 50)}  p99 {_ms(lags, 99)}")


async def _all(answers: Sequence[Answer]) -> None:
    async with asyncio.timeout(120):
        for answer in answers:
            await answer.done.wait()


def _ms(values: Sequence[float], percent: int) -> str:
    if len(values) < 2:
        return "–"
    return f"{statistics.quantiles(values, n=100, method='inclusive')[percent - 1] * 1000:.1f} ms"


async def measure(stack: Stack, options: argparse.Namespace) -> None:
    await first_chunk(stack, options.rounds)
    await stream(stack, "flat out", options.flat_chats, options.sockets, options.flat_tokens, 0)
    await stream(stack, "paced", options.chats, options.sockets, options.seconds * 50, 20)
    print("memory        " + "  ".join(f"{role} {size:.0f} MiB" for role, size in stack.rss_mb().items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="sends for the first chunk")
    parser.add_argument("--chats", type=int, default=200, help="chats that stream 50 tokens/s each")
    parser.add_argument("--seconds", type=int, default=5, help="how long they stream")
    parser.add_argument("--flat-chats", type=int, default=50, help="chats that stream flat out")
    parser.add_argument("--flat-tokens", type=int, default=2000, help="tokens each of them streams")
    parser.add_argument("--sockets", type=int, default=10, help="connections that share the chats")
    options = parser.parse_args()
    with running() as stack:
        asyncio.run(measure(stack, options))


if __name__ == "__main__":
    main()
