from __future__ import annotations

import jwt
from pydantic import SecretStr

from chatagent.cli.deployment import _engine
from chatagent.settings import Settings


def test_workers_mint_tokens_for_hooks_with_the_gateways_secret() -> None:
    settings = Settings(secret_key=SecretStr("s" * 32))
    mint = _engine(settings).turn.mint
    assert mint is not None
    claims = jwt.decode(mint("c1", 60), "s" * 32, ["HS256"])
    assert claims["scopes"] == ["read:sessions:c1", "write:sessions:c1"]
    assert claims["exp"] - claims["iat"] == 60


def test_without_a_secret_there_are_no_tokens() -> None:
    assert _engine(Settings(secret_key=None)).turn.mint is None
