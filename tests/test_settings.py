"""Settings come from the environment, say what is wrong, and never show a secret."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from chatagent.settings import Settings, described, masked, unknown_variables


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in described(Settings()):
        for name in setting.env:
            monkeypatch.delenv(name, raising=False)


def test_defaults_need_no_environment() -> None:
    settings = Settings()
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.broker_url is None
    assert settings.model == "demo/assistant"


@pytest.mark.parametrize("name", ["REDIS_URL", "CHATAGENT_REDIS_URL"])
def test_redis_is_named_by_either_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "unix:///tmp/r.sock")
    assert Settings().redis_url == "unix:///tmp/r.sock"


def test_our_own_variable_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://other/0")
    monkeypatch.setenv("CHATAGENT_REDIS_URL", "redis://ours/0")
    assert Settings().redis_url == "redis://ours/0"


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATAGENT_ALLOWED_ORIGINS", "https://a.example, https://b.example,")
    assert Settings().allowed_origins == ("https://a.example", "https://b.example")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATAGENT_LEASE_S", "")
    assert Settings().lease_s == 15


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CHATAGENT_LEASE_S", "0.5", "greater than or equal to 1"),
        ("CHATAGENT_MAX_ATTEMPTS", "many", "valid integer"),
        ("CHATAGENT_REDIS_URL", "localhost", "match pattern"),
        ("CHATAGENT_DURABILITY", "paper", "'memory', 'disk' or 'replica'"),
        ("CHATAGENT_SECRET_KEY", "hush-hush", "at least 32 characters"),
        ("CHATAGENT_HEARTBEAT_S", "15", "less than lease_s"),
    ],
)
def test_a_bad_value_is_refused_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=said) as caught:
        Settings()
    assert "hush-hush" not in str(caught.value)


def test_every_setting_is_grouped_and_described() -> None:
    for setting in described(Settings()):
        assert setting.group and setting.description and setting.env, setting.name


def test_secrets_are_masked_in_the_list() -> None:
    key = "k" * 40
    shown = {
        setting.name: setting for setting in described(Settings(secret_key=key, redis_url="redis://u:pw@host:1/0"))
    }
    assert key not in shown["secret_key"].value
    assert shown["redis_url"].value == "redis://u:********@host:1/0"
    assert shown["redis_url"].given and not shown["prefix"].given


def test_a_misspelt_variable_is_named_with_the_closest_right_one() -> None:
    environ = {"CHATAGENT_LEASE_SEC": "1", "CHATAGENT_ZZZZ": "1", "CHATAGENT_LEASE_S": "2", "OTHER": "3"}
    assert list(unknown_variables(environ)) == [
        ("CHATAGENT_LEASE_SEC", "CHATAGENT_LEASE_S"),
        ("CHATAGENT_ZZZZ", None),
    ]


@pytest.mark.parametrize("value", ["redis://host:6379/0", "unix:///a/b.sock?db=1", "plain", ""])
def test_values_without_a_password_are_shown_as_they_are(value: str) -> None:
    assert masked(value) == value
