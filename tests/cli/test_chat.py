"""`chatagent chat`, `sessions` and `token` against a real worker and gateway, on a real terminal and in pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatagent.client import Chat
from tests.cli.development import Development
from tests.cli.pty_process import PtyProcess
from tests.redis_server import RedisServer
from tests.stack import REPOSITORY, SECRET, Gateway, free_port, serving, wait_until

pytestmark = pytest.mark.e2e

AGENTS = """
import asyncio
from pathlib import Path
from chatagent import chat

@chat.agent("echo")
async def echo(turn):
    last = turn.ui_messages[-1]
    if last["role"] == "assistant":
        answer = last["parts"][-1].get("approval", {}).get("approved", last["parts"][-1].get("output"))
        if last["parts"][-1]["state"] == "approval-responded":
            yield {"type": "tool-output-available", "toolCallId": "call1", "output": "paid" if answer else "kept"}
        yield f"Your answer was {answer}."
        return
    text = last["parts"][0]["text"]
    if text == "count":
        for number in range(1000):
            yield f"w{number} "
            await asyncio.sleep(0.02)
    elif text.startswith("wait "):
        yield "one "
        while not Path(text[5:]).exists():
            await asyncio.sleep(0.02)
        yield "two"
    elif text in ("pay", "where"):
        yield {"type": "tool-input-available", "toolCallId": "call1", "toolName": text, "input": {"euro": 5}}
        if text == "pay":
            yield {"type": "tool-approval-request", "toolCallId": "call1", "approvalId": "ap1"}
    elif text == "evil":
        yield "a\\x1b]0;owned\\x07b\\x1b[2Jc"
    elif text == "fail":
        raise RuntimeError("no")
    elif text == "think":
        yield {"type": "reasoning-start", "id": "r"}
        yield {"type": "reasoning-delta", "id": "r", "delta": "Hmm, let me see."}
        yield {"type": "reasoning-end", "id": "r"}
        yield "# Title\\n\\n- **bold** thing\\n"
    else:
        yield f"You said: {text}"

@chat.agent("deaf")
async def deaf(turn):
    await asyncio.sleep(600)
"""


@pytest.fixture(scope="module")
def served(redis_server: RedisServer) -> Iterator[Gateway]:
    """A worker and a gateway for all tests of this file."""
    with serving(redis_server, AGENTS) as gateway:
        yield gateway


Terminal = Callable[..., PtyProcess]


@pytest.fixture
def terminal(served: Gateway, tmp_path: Path) -> Iterator[Terminal]:
    """Opens `chatagent` on a terminal."""
    opened: list[PtyProcess] = []

    def open_one(*args: str, url: str = served.url) -> PtyProcess:
        opened.append(PtyProcess(*args, "--url", url, cwd=tmp_path, env={"CHATAGENT_SECRET_KEY": SECRET}))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def run(*args: str, stdin: str = "", cwd: Path = REPOSITORY, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `chatagent` in a pipe to its end."""
    return subprocess.run(
        [sys.executable, "-m", "chatagent.cli", *args],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **env},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_bytes(*args: str, stdin: bytes, **env: str) -> subprocess.CompletedProcess[bytes]:
    """The same with bytes that may be no text."""
    return subprocess.run(
        [sys.executable, "-m", "chatagent.cli", *args],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "CHATAGENT_SECRET_KEY": SECRET, **env},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


def pipe(served: Gateway, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return run(*args, "--url", served.url, stdin=stdin, CHATAGENT_SECRET_KEY=SECRET)


def open_chat(served: Gateway, chat_id: str) -> Chat:
    return Chat(served.url, "echo", chat_id=chat_id, secret_key=SECRET)


# -- in a pipe --------------------------------------------------------------------------------------------------


def test_a_question_in_a_pipe_is_answered_with_the_text_alone(served: Gateway) -> None:
    done = pipe(served, "chat", "echo", stdin="hello **you**\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: hello **you**\n", "")


@pytest.mark.parametrize(
    ("agent", "question", "said"),
    [
        ("echo", "fail", "error: "),
        ("nobody", "hi", "there is no agent 'nobody'; there are: echo, deaf"),
        ("echo", " \n", "ask something"),
        ("echo", "pay", "the agent waits for you (pay)"),
    ],
)
def test_in_a_pipe_an_error_is_exit_code_1(served: Gateway, agent: str, question: str, said: str) -> None:
    done = pipe(served, "chat", agent, stdin=question)
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr
    assert done.stdout.strip() == ""


def test_where_no_gateway_is_it_says_how_to_start_one() -> None:
    done = run("chat", "echo", "--url", f"http://127.0.0.1:{free_port()}", stdin="hi")
    assert done.returncode == 1
    assert "start one with `chatagent dev`" in done.stderr and "Traceback" not in done.stderr


def test_without_a_right_it_asks_for_a_token(served: Gateway) -> None:
    done = run("chat", "echo", "--url", served.url, stdin="hi")
    assert done.returncode == 1
    assert "give --token, or set CHATAGENT_SECRET_KEY" in done.stderr


@pytest.mark.parametrize("question", [b"gr\xfc\xdfe", "gr\u00fc\u00dfe".encode()], ids=["latin-1", "utf-8"])
def test_a_question_that_is_no_utf_8_is_asked_all_the_same(served: Gateway, question: bytes) -> None:
    done = run_bytes("chat", "echo", "--url", served.url, stdin=question)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"You said: {question.decode(errors='replace')}\n"


def test_an_answer_that_the_terminal_cannot_show_is_no_failure(served: Gateway) -> None:
    done = run_bytes("chat", "echo", "--url", served.url, stdin="5 €".encode(), PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")


# -- on a terminal ----------------------------------------------------------------------------------------------


def test_a_person_talks_and_leaves(terminal: Terminal) -> None:
    one = terminal("chat", "echo")
    at = one.wait_for("› ")
    one.type("hello\n")
    at = one.wait_for("You said: hello", after=at)
    at = one.wait_for("› ", after=at)
    one.type("/edit goodbye\n")
    at = one.wait_for("You said: goodbye", after=at)
    at = one.wait_for("› ", after=at)
    one.type("/again\n")
    one.wait_for("› ", after=one.wait_for("You said: goodbye", after=at))
    one.type("\x04")
    assert one.end() == 0
    assert "go on with: chatagent chat --resume chat_" in one.text


def test_markdown_and_thoughts_are_rendered(terminal: Terminal) -> None:
    one = terminal("chat", "echo")
    one.wait_for("› ")
    one.type("think\n")
    one.wait_for(r"• bold thing")
    assert "Hmm, let me see." in one.text and "**" not in one.text
    assert b"\x1b[2;3mHmm" in one.raw, "thoughts are dim"


def test_what_an_agent_writes_does_not_command_the_terminal(terminal: Terminal) -> None:
    one = terminal("chat", "echo")
    one.wait_for("› ")
    one.type("evil\n")
    one.wait_for("]0;ownedb")
    assert b"\x1b]0;" not in one.raw and b"\x1b[2J" not in one.raw


@pytest.mark.parametrize(("key", "said", "output"), [("y", "True", "paid"), ("too dear", "False", "kept")])
def test_an_approval_is_asked_for(terminal: Terminal, key: str, said: str, output: str) -> None:
    one = terminal("chat", "echo")
    one.wait_for("› ")
    one.type("pay\n")
    at = one.wait_for(r"pay wants your approval")
    at = one.wait_for(r"Allow pay\? \[y/N\]", after=at)
    one.type(f"{key}\n")
    at = one.wait_for("pay done", after=at)
    at = one.wait_for(output, after=at)
    one.wait_for(f"Your answer was {said}", after=at)


def test_a_tool_of_the_clients_own_is_answered_by_the_person(terminal: Terminal) -> None:
    one = terminal("chat", "echo")
    one.wait_for("› ")
    one.type("where\n")
    at = one.wait_for("where wants an answer from you")
    one.type("Berlin\n")
    one.wait_for("Your answer was Berlin", after=at)


def test_ctrl_c_stops_the_answer_and_the_chat_goes_on(terminal: Terminal) -> None:
    one = terminal("chat", "echo")
    one.wait_for("› ")
    one.type("count\n")
    one.wait_for("w3 ")
    one.type("\x03")
    at = one.wait_for(r"\nstopped\n")
    at = one.wait_for("› ", after=at)
    one.type("still there\n")
    one.wait_for("You said: still there", after=at)


def test_a_second_ctrl_c_leaves_an_answer_that_does_not_stop(terminal: Terminal, served: Gateway) -> None:
    with Chat(served.url, "deaf", chat_id="two-keys", secret_key=SECRET) as chat:
        chat.start()
        one = terminal("chat", "--resume", "two-keys")
        one.wait_for("› ")
        one.type("hello?\n")
        wait_until(lambda: chat.session()["status"] == "running", "the agent sleeps")
        one.type("\x03")
        one.wait_for("stopping; Ctrl-C once more leaves")
        one.type("\x03")
        assert one.end() == 130
        # A turn that ends later would be news of this chat in a list that another test reads.
        wait_until(lambda: chat.session()["status"] != "running", "the worker gives up on the agent")
    assert "go on with: chatagent chat --resume two-keys" in one.text
    assert "Traceback" not in one.text


def test_a_resumed_chat_shows_its_past_and_the_answer_that_is_being_written(
    terminal: Terminal, served: Gateway, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with open_chat(served, "resumed") as chat:
        chat.send("first").result()
        chat.send(f"wait {gate}").close()
    one = terminal("chat", "echo", "--resume", "resumed")
    one.wait_for("one")
    assert "You said: first" in one.text and "› first" in one.text
    gate.touch()
    one.wait_for("› ", after=one.wait_for("one two"))
    assert one.text.count("You said: first") == 1


def test_an_error_is_told_and_the_chat_goes_on(terminal: Terminal) -> None:
    one = terminal("chat", "echo")
    one.wait_for("› ")
    one.type("fail\n")
    at = one.wait_for("› ", after=one.wait_for("error: "))
    one.type("better\n")
    one.wait_for("You said: better", after=at)


def test_an_unknown_agent_is_told_before_anything_is_written(terminal: Terminal) -> None:
    one = terminal("chat", "nobody")
    assert one.end() == 1
    assert "there is no agent 'nobody'; there are: echo, deaf" in one.text


def test_what_is_typed_while_an_answer_is_written_waits_for_its_end(
    terminal: Terminal, served: Gateway, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with open_chat(served, "typed-on") as chat:
        chat.start()
        one = terminal("chat", "echo", "--resume", "typed-on")
        one.wait_for("› ")
        one.type(f"wait {gate}\n")
        at = one.wait_for("one")
        # When two messages are said, a third is taken back, and a fourth is not entered
        for text in ("second", "/steer third", "fourth"):
            waiting = len(chat.queue())
            one.type(f"{text}\n")
            wait_until(lambda: len(chat.queue()) > waiting, f"{text} waits")  # noqa: B023
        one.wait_for("waits: second", after=at)
        one.wait_for("steers: third", after=at)
        one.type("/back\n")
        wait_until(lambda: len(chat.queue()) == 2, "the fourth is taken back")
        one.type("half a li")
        one.wait_for("› half a li", after=at)
        assert [each["busy"] for each in chat.queue()] == ["enqueue", "steer"]
        gate.touch()
        # Then each is answered in its turn, and what was typed stands at the prompt
        at = one.wait_for("one two", after=at)
        at = one.wait_for("› second", after=at)
        at = one.wait_for("You said: second", after=at)
        at = one.wait_for("› third", after=at)
        at = one.wait_for("You said: third", after=at)
        at = one.wait_for("› half a li", after=at)
        one.type("ne\n")
        one.wait_for("You said: half a line", after=at)
        assert "fourth" not in str(chat.history())


def test_a_stop_is_for_the_answer_on_the_screen_alone(terminal: Terminal) -> None:
    one = terminal("chat", "echo")
    one.wait_for("› ")
    one.type("count\n")
    one.wait_for("w3 ")
    one.type("next\n")
    at = one.wait_for("waits: next")
    one.type("\x03")
    at = one.wait_for(r"\nstopped\n", after=at)
    one.wait_for("You said: next", after=at)


def test_ctrl_d_leaves_an_answer_that_goes_on(terminal: Terminal, served: Gateway, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with open_chat(served, "left") as chat:
        chat.start()
        one = terminal("chat", "echo", "--resume", "left")
        one.wait_for("› ")
        one.type(f"wait {gate}\n")
        one.wait_for("one")
        one.type("\x04")
        assert one.end() == 0
        assert "go on with: chatagent chat --resume left" in one.text and "Traceback" not in one.text
        gate.touch()
        wait_until(lambda: chat.session()["status"] == "idle", "the answer ends")
        assert chat.history()[-1]["parts"][-1]["text"] == "one two"


def test_a_resumed_chat_goes_on_with_what_waits_in_it(terminal: Terminal, served: Gateway, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with open_chat(served, "queued-up") as chat:
        chat.send(f"wait {gate}").close()
        chat.send("and then").close()
        one = terminal("chat", "echo", "--resume", "queued-up")
        at = one.wait_for("one")
        assert "› and then" not in one.text
        gate.touch()
        at = one.wait_for("› and then", after=one.wait_for("one two", after=at))
        at = one.wait_for("You said: and then", after=at)
        one.wait_for("› ", after=at)


def test_ctrl_c_at_the_prompt_forgets_the_line_and_leaves_the_second_time(terminal: Terminal) -> None:
    one = terminal("chat", "echo")
    at = one.wait_for_prompt()
    one.type("never mind\x03")
    at = one.wait_for("Ctrl-C once more leaves", after=at)
    at = one.wait_for("› ", after=at)
    one.type("hello\n")
    at = one.wait_for_prompt(after=one.wait_for("You said: hello", after=at))
    one.type("\x03")
    one.wait_for_prompt(after=one.wait_for("Ctrl-C once more leaves", after=at))
    one.type("\x03")
    assert one.end() == 0


# -- sessions and tokens ----------------------------------------------------------------------------------------


def test_sessions_are_listed_shown_and_closed(served: Gateway) -> None:
    with open_chat(served, "listed") as chat:
        chat.send("remember me").result()
    listed = pipe(served, "sessions", "list").stdout
    assert any("listed" in line and "remember me" in line for line in listed.splitlines())
    found = [
        json.loads(line) for line in pipe(served, "sessions", "list", "--json", "--limit", "1").stdout.splitlines()
    ]
    assert [each["externalId"] for each in found] == ["listed"]
    shown = pipe(served, "sessions", "show", "listed").stdout
    assert "› remember me" in shown and "You said: remember me" in shown
    assert "listed is closed (done)" in pipe(served, "sessions", "close", "listed", "--reason", "done").stdout
    refused = pipe(served, "chat", "--resume", "listed", stdin="more")
    assert refused.returncode == 1 and "the session is closed" in refused.stderr
    missing = pipe(served, "sessions", "show", "nothing")
    assert missing.returncode == 1 and "error: " in missing.stderr


def test_a_list_in_a_pipe_has_all_columns_however_long_they_are(served: Gateway) -> None:
    long = f"listed-{'x' * 60}"
    with open_chat(served, long) as chat:
        chat.send("remember " + "me " * 40).result()
    head, *rows = pipe(served, "sessions", "list").stdout.splitlines()
    assert head.split() == ["chat", "agent", "status", "turns", "updated", "title"]
    assert any(row.split()[:4] == [long, "echo", "idle", "1"] for row in rows)


def test_a_list_is_filtered_and_comes_in_pages(served: Gateway) -> None:
    for number in range(3):
        with open_chat(served, f"paged-{number}") as chat:
            chat.start(tags=["paged"], user=f"user-{number % 2}")
            if number == 1:
                chat.close_session()

    first = pipe(served, "sessions", "list", "--tag", "paged", "--agent", "echo", "--limit", "2")
    assert len(first.stdout.splitlines()) == 3, "a head and two chats"
    cursor = first.stderr.split("--cursor ")[1].strip()
    second = pipe(served, "sessions", "list", "--tag", "paged", "--json", "--cursor", cursor)
    assert second.stderr == "", "there are no more"
    (rest,) = [json.loads(line)["externalId"] for line in second.stdout.splitlines()]
    assert {name for name in ("paged-0", "paged-1", "paged-2") if name not in first.stdout} == {rest}
    closed = pipe(served, "sessions", "list", "--json", "--status", "closed", "--user", "user-1")
    assert [json.loads(line)["externalId"] for line in closed.stdout.splitlines()] == ["paged-1"]
    wrong = pipe(served, "sessions", "list", "--status", "tired")
    assert wrong.returncode == 1 and "must be one of ACTIVE" in wrong.stderr


def test_a_tail_shows_every_turn_of_everybody_until_the_chat_is_closed(
    terminal: Terminal, served: Gateway, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with open_chat(served, "tailed") as chat:
        chat.send("before").result()
        one = terminal("sessions", "tail", "tailed")
        at = one.wait_for("You said: before")
        answer = chat.send(f"wait {gate}")
        at = one.wait_for("one", after=at)
        gate.touch()
        answer.result()
        at = one.wait_for("one two", after=at)
        chat.close_session("enough")
        one.wait_for(r"closed \(enough\)", after=at)
    assert one.end() == 0


def test_a_token_is_minted_that_opens_its_chat(served: Gateway, tmp_path: Path) -> None:
    minted = pipe(served, "token", "tokened", "--agent", "echo", "--ttl", "60")
    assert minted.returncode == 0, minted.stderr
    token = minted.stdout.strip()
    done = run("chat", "--resume", "tokened", "--url", served.url, "--token", token, stdin="hi")
    assert done.stdout == "You said: hi\n", done.stderr
    other = run("chat", "echo", "--url", served.url, "--token", token, stdin="hi")
    assert other.returncode == 1
    keyless = run("token", "tokened", "--url", served.url, cwd=tmp_path)  # away from a development's secret key
    assert keyless.returncode == 1 and "--secret-key" in keyless.stderr


def test_a_running_dev_needs_no_token_and_the_demo_model_answers(tmp_path: Path) -> None:
    one = Development(tmp_path)
    try:
        one.wait_ready()
        done = run("chat", "assistant", "--url", one.url, stdin="What is chatagent?", cwd=tmp_path)
        assert done.returncode == 0 and "durable AI chat agents" in done.stdout, done.stderr
        listed = run("sessions", "list", "--json", "--url", one.url, cwd=tmp_path).stdout
        chat_id = json.loads(listed)["externalId"]
        token = run("token", chat_id, "--url", one.url, cwd=tmp_path)
        assert token.stdout.count(".") == 2, token.stderr
        one.end()
        wait_until(lambda: not one.orphans(0), "all ended")
    finally:
        one.close()
