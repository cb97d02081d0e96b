"""The table: every scenario with every stock client, one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.client import Client, Clients
from tests.e2e.scenario import SCENARIOS
from tests.e2e.server import Server
from tests.e2e.stage import Stage

pytestmark = pytest.mark.e2e

#: `DefaultChatTransport` of three generations and `WebSocketChatTransport`, each speaking its own dialect.
CLIENTS: dict[str, Client] = {
    "ai5-sse": "http5?ai=5",
    "ai6-sse": "http6?ai=6",
    "ai7-sse": "http7?ai=7",
    "ai7-ws": "ws7",
}
CELLS = [f"{client}-{scenario}" for scenario in SCENARIOS for client in CLIENTS]


@pytest.mark.parametrize("cell", CELLS)
def test_matrix(cell: str, clients: Clients, server: Server, other_server: Server, tmp_path: Path) -> None:
    generation, door, scenario = cell.split("-", 2)
    stage = Stage(clients, CLIENTS[f"{generation}-{door}"], server, other_server, tmp_path)
    SCENARIOS[scenario](stage)
    clients.close_pages()
