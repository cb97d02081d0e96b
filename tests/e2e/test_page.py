"""The playground in a real browser, with the demo model behind it: what a newcomer does first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Locator, Page, expect

from chatagent.flask.page import STATIC
from tests.conftest import missing
from tests.e2e.server import Message, Server
from tests.redis_server import discard, new_redis
from tests.stack import Stack, wait_until

pytestmark = pytest.mark.e2e

#: Slow enough, in seconds per word, to do something in mid-answer.
PACE_S = 0.15
#: Milliseconds for the page to show what is expected: more than an answer takes on a busy machine.
SHOWN_MS = 30_000
QUESTION = "What is the weather in Lisbon, and what is the current time?"


@pytest.fixture(scope="module")
def playground(redis_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The deployment of this repository, in development."""
    expect.set_options(timeout=SHOWN_MS)
    if not (STATIC / "index.html").is_file():
        missing("the page (make ui)")
    redis = new_redis(redis_binary)
    env = {"CHATAGENT_DEV": "1", "CHATAGENT_MODEL": f"demo/assistant@{PACE_S}"}
    stack = Stack(redis, tmp_path_factory.mktemp("playground"), env)
    try:
        with stack.worker(), stack.gateway() as gateway:
            server = Server(gateway.url)
            yield server
            server.close()
    finally:
        discard(redis)


def test_an_answer_with_tool_calls_survives_a_reload(page: Page, playground: Server, tmp_path: Path) -> None:
    # Given an answer that called two tools, and is about to tell what they said
    _open(page, playground, agent="weather")
    _send(page, QUESTION)
    expect(page.get_by_test_id("message").first).to_have_attribute("data-role", "user")
    for tool in ("get_weather", "current_time"):
        card = page.locator(f'[data-testid="tool-card"][data-tool="{tool}"]')
        expect(card).to_have_attribute("data-state", "output-available")
    chat_id = _chat_id(page)
    # When the page is reloaded in mid-answer
    assert playground.read(chat_id)["status"] == "running"
    page.reload()
    expect(page.get_by_test_id("stop")).to_be_visible()
    page.screenshot(path=tmp_path / "in-mid-answer.png")
    # Then the answer goes on, and at its end every byte is there
    _wait_ready(page)
    stored = playground.wait_idle(chat_id)
    assert [each["role"] for each in stored] == ["user", "assistant"]
    assert _copied(page) == _text(stored[-1])
    expect(page.get_by_test_id("tool-card")).to_have_count(2)
    page.screenshot(path=tmp_path / "answered.png")
    # And a page that was never there before shows the same
    shown = _answer(page).inner_text()
    page.reload()
    expect(_answer(page)).to_have_text(shown, use_inner_text=True)


def test_an_answer_is_stopped_and_the_chat_goes_on(page: Page, playground: Server) -> None:
    _open(page, playground, agent="assistant")
    _send(page, "What is chatagent?")
    expect(_answer(page)).to_contain_text("chatagent")

    page.get_by_test_id("stop").click()

    _wait_ready(page)
    chat_id = _chat_id(page)
    stored = playground.wait_idle(chat_id)
    said = _text(stored[-1])
    assert said
    assert "idle days" not in said, "it came to its end"
    _wait_shown(page, said)
    _send(page, "goodbye")
    expect(page.get_by_test_id("message")).to_have_count(4)
    _wait_ready(page)
    assert "welcome" in _text(playground.wait_idle(chat_id)[-1])


def test_an_answer_is_stopped_after_a_reload(page: Page, playground: Server) -> None:
    _open(page, playground, agent="assistant")
    _send(page, "What is chatagent?")
    expect(_answer(page)).to_contain_text("chatagent")
    page.reload()
    expect(_answer(page)).to_contain_text("chatagent")

    page.get_by_test_id("stop").click()

    _wait_ready(page)
    stored = playground.wait_idle(_chat_id(page))
    assert "idle days" not in _text(stored[-1])
    _wait_shown(page, _text(stored[-1]))


def test_chats_are_listed_and_opened_again(page: Page, playground: Server) -> None:
    _open(page, playground, agent="assistant")
    _send(page, "goodbye")
    _wait_ready(page)
    first = _chat_id(page)

    page.get_by_test_id("new-chat").click()
    expect(page.get_by_test_id("message")).to_have_count(0)
    page.locator(f'[data-testid="chat-list-item"][data-chat="{first}"]').click()

    expect(page.get_by_test_id("message")).to_have_count(2)
    assert _copied(page) == _text(playground.messages(first)[-1])


def test_a_question_of_the_agent_is_answered_in_its_card(page: Page, playground: Server) -> None:
    # Given a chat whose agent asks the person, seen in the list of another page
    _open(page, playground, agent="approval")
    watcher = page.context.new_page()
    watcher.goto(playground.url)
    _send(page, "Ask for the reason.")
    answer = page.get_by_test_id("answer-input")
    expect(answer).to_be_visible()
    listed = watcher.locator(f'[data-testid="chat-list-item"][data-chat="{_chat_id(page)}"]')
    expect(listed).to_have_attribute("data-waiting", "true")
    # When it is answered
    answer.fill("it broke")
    page.get_by_test_id("answer").click()
    # Then the agent goes on with the answer, and nobody is waited for
    expect(_answer(page)).to_contain_text("it broke")
    _wait_ready(page)
    stored = playground.wait_idle(_chat_id(page))
    assert [part["output"] for part in stored[-1]["parts"] if part["type"] == "tool-ask_reason"] == ["it broke"]
    expect(listed).to_have_attribute("data-waiting", "false")


def test_messages_wait_for_the_running_answer(page: Page, playground: Server) -> None:
    # Given an answer under way, and two messages that were sent meanwhile
    _open(page, playground, agent="assistant")
    _send(page, "What is chatagent?")
    expect(_answer(page)).to_contain_text("chatagent")
    composer, queued = page.get_by_test_id("composer-input"), page.get_by_test_id("queued")
    for text in ("hello", "never mind"):
        composer.fill(text)
        composer.press("Enter")
    expect(queued).to_have_count(2)
    # When one is changed and the other taken back
    queued.first.get_by_test_id("queued-edit").click()
    page.get_by_test_id("queued-input").fill("goodbye")
    page.get_by_test_id("queued-input").press("Enter")
    expect(queued.first).to_contain_text("goodbye")
    queued.last.get_by_test_id("queued-cancel").click()
    expect(queued).to_have_count(1)
    page.get_by_test_id("stop").click()
    # Then the other is answered in its turn
    expect(page.get_by_test_id("message")).to_have_count(4)
    _wait_ready(page)
    stored = playground.wait_idle(_chat_id(page))
    assert [each["role"] for each in stored] == ["user", "assistant"] * 2
    assert _text(stored[2]) == "goodbye"
    assert _copied(page) == _text(stored[-1])
    expect(queued).to_have_count(0)


def test_a_message_steers_the_running_answer(page: Page, playground: Server) -> None:
    _open(page, playground, agent="research")
    _send(page, "Research queues that are safe for threads.")
    expect(page.get_by_test_id("stop")).to_be_visible()

    page.get_by_test_id("composer-input").fill("Be brief, please.")
    page.get_by_test_id("composer-input").press("Control+Enter")

    expect(page.get_by_test_id("steering")).to_have_text("Be brief, please.")
    expect(page.get_by_test_id("progress").first).to_contain_text("done")
    _wait_ready(page)
    assert [each["role"] for each in playground.wait_idle(_chat_id(page))] == ["user", "assistant"]


def _open(page: Page, server: Server, *, agent: str) -> None:
    """Open the page and choose an agent."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    page.goto(server.url)
    page.get_by_test_id("agent-select").select_option(agent)


def _send(page: Page, text: str) -> None:
    page.get_by_test_id("composer-input").fill(text)
    page.get_by_test_id("send").click()


def _answer(page: Page) -> Locator:
    """The last answer."""
    return page.locator('[data-testid="message"][data-role="assistant"]').last


def _wait_ready(page: Page) -> None:
    expect(page.get_by_test_id("status")).to_have_attribute("data-status", "ready")


def _wait_shown(page: Page, text: str) -> None:
    """The page shows the answer as it is stored; after a stop it looks once the worker has ended the turn."""
    wait_until(lambda: _copied(page) == text, "the page shows what is stored")


def _chat_id(page: Page) -> str:
    """The chat that the page shows: its address says so."""
    address = wait_until(lambda: page.url.partition("#/chat/")[2], "the chat has an address")
    return unquote(address)


def _text(message: Message) -> str:
    """The text of a message as the page puts it together: the parts are paragraphs."""
    return "\n\n".join(part["text"] for part in message["parts"] if part["type"] == "text")


def _copied(page: Page) -> str:
    """The text of the last answer as the page hands it on, byte by byte: markdown, not what is drawn of it."""
    _answer(page).hover()
    _answer(page).get_by_label("Copy message").click()
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text
