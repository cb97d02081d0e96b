"""Every operation is asked what fits the document and what does not; the answers must be those that it tells of.

The cases are the same in every run. Streams without an end are left to `test_stream`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chatagent.flask.openapi.document import OPERATIONS
from tests.flask.gateway_app import SECRET
from tests.flask.gateway_process import GatewayProcess

#: Followed for ever, or until a timeout.
_ENDLESS = {"chats_feed", "follow_channel", "follow_records"}
_NAMES = {endpoint.partition(".")[2]: each for endpoint, each in OPERATIONS.items()}
_ASKED = [
    (name, mode)
    for name, operation in sorted(_NAMES.items())
    for mode in GenerationMode
    # Nothing is wrong with a request that says nothing.
    if name not in _ENDLESS and (mode.is_positive or operation.body or operation.query)
]
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
#: Seconds for one answer.
_TIMEOUT_S = 10
_AUTH = {"Authorization": f"Bearer {SECRET}"}

#: A slash is kept from the ends: what it does to a path is tried in `test_found`.
_printable = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, categories=["L", "N", "P", "S"]), max_size=40)
schemathesis.openapi.format("printable", _printable.map(lambda text: f"x{text}x"))


@pytest.fixture(scope="module")
def api(document: dict[str, Any], busy_gateway: GatewayProcess) -> Any:
    """The document as schemathesis reads it."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=busy_gateway.url)
    # Who asks is not tried here: tests/flask does.
    schema.config.generation.update(with_security_parameters=False)
    return schema


@pytest.mark.parametrize(("name", "mode"), _ASKED, ids=[f"{name}-{mode.value}" for name, mode in _ASKED])
def test_answers_are_as_the_document_says(
    api: Any, announce: Callable[[], None], name: str, mode: GenerationMode
) -> None:
    announce()
    operation = api.find_operation_by_id(name)
    cases = operation.as_strategy(generation_mode=mode)
    if mode.is_negative:
        # Any name fits a path: what is wrong must be elsewhere.
        named = {each.name: "open" for each in operation.path_parameters}
        cases = operation.as_strategy(generation_mode=mode, path_parameters=named or None)

    @settings(
        max_examples=20,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, known=st.sampled_from(["open", "closed", None]))
    def ask(case: Case[Any], known: str | None) -> None:
        if known is not None and mode.is_positive and "chat_id" in (case.path_parameters or {}):
            case.path_parameters["chat_id"] = known
        case.call_and_validate(checks=_CHECKS, headers=_AUTH, timeout=_TIMEOUT_S)

    ask()
