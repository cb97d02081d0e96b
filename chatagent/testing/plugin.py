"""pytest's plugin: the fixture `chat_agent`. Imports nothing until a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from chatagent import testing

if TYPE_CHECKING:
    from chatagent.testing import ChatAgent, TestChat


@pytest.fixture(scope="session")
def chat_agent_redis_url() -> Iterator[str]:
    """The Redis that the chats of this session use; override it to bring your own."""
    yield testing.shared.redis_url
    testing.shared.close()


@pytest.fixture
def chat_agent(chat_agent_redis_url: str) -> Iterator[ChatAgent]:
    """Makes chats: `chat = chat_agent(support, client_data={…})`. All are ended with the test."""
    with ExitStack() as chats:

        def make(agent: Any, **options: Any) -> TestChat:
            return chats.enter_context(testing.TestChat(agent, **{"redis_url": chat_agent_redis_url, **options}))

        yield make
