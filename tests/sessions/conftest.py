"""A gateway that the settings name."""

from __future__ import annotations

import pytest

from tests.client.conftest import plan
from tests.flask.conftest import gateway, new_gateway, shared_gateway, worker
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess

__all__ = ["gateway", "new_gateway", "plan", "shared_gateway", "worker"]


@pytest.fixture
def place(gateway: GatewayProcess, monkeypatch: pytest.MonkeyPatch) -> GatewayProcess:
    """The gateway, named by the environment as a deployment names it."""
    monkeypatch.setenv("CHATAGENT_URL", gateway.url)
    monkeypatch.setenv("CHATAGENT_SECRET_KEY", SECRET)
    return gateway
