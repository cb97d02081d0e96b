"""Which test shows which behaviour of the chat surface: 1 to 45 (the client and the wire) and 85 (scopes).

Where the client alone decides (what it leaves out of a request, whom it asks for a token), the test watches the
published client do it here.
"""

from __future__ import annotations

import ast

import pytest

from tests.stack import REPOSITORY

_BASIC, _MORE, _WIRE, _S2 = (
    "trigger/test_client",
    "trigger/test_features",
    "flask/sessions/test_realtime",
    "flask/sessions/test_s2",
)
_ON = "trigger/test_wire"

#: Number, the file, the test.
SHOWN: list[tuple[int, str, str]] = [
    (1, _ON, "test_a_send_is_one_append_of_one_message_and_a_stream"),
    (2, _ON, "test_a_send_is_one_append_of_one_message_and_a_stream"),
    (3, _ON, "test_a_regenerate_brings_no_message_and_replaces_the_answer"),
    (4, _MORE, "test_the_output_of_a_tool_of_the_page_goes_on_with_the_answer"),
    (5, _WIRE, "test_a_slim_tool_answer_is_laid_over_the_stored_call"),
    (6, _ON, "test_client_data_of_a_send_wins_and_headers_reach_no_record"),
    (7, _ON, "test_client_data_of_a_send_wins_and_headers_reach_no_record"),
    (8, _ON, "test_append_and_stream_may_go_to_different_gateways"),
    (9, _ON, "test_two_starts_at_once_are_one_session"),
    (10, _MORE, "test_the_package_starts_sessions_for_a_page"),
    (11, _BASIC, "test_a_stale_token_is_renewed_once"),
    (12, _ON, "test_a_stale_token_is_renewed_when_a_stream_is_opened"),
    (13, _BASIC, "test_a_chat_that_is_unknown_here_is_made_anew"),
    (14, _WIRE, "test_a_part_id_makes_two_appends_one"),
    (15, _BASIC, "test_a_closed_chat_takes_no_more"),
    (16, _WIRE, "test_a_large_record_is_refused_readably_for_other_origins"),
    # A record is stored as its body here, so there is no body under the limit whose record is over it.
    (17, _ON, "test_a_record_full_of_quotes_is_kept_up_to_the_same_limit"),
    (18, _WIRE, "test_a_timeout_out_of_range_is_refused"),
    (19, _WIRE, "test_two_turns_come_with_numbers_that_never_start_again"),
    (20, _WIRE, "test_two_turns_come_with_numbers_that_never_start_again"),
    (21, _WIRE, "test_a_stream_cut_anywhere_goes_on_with_the_next_record"),
    (21, "trigger/test_cuts", "test_a_connection_cut_after_any_record_loses_and_doubles_nothing"),
    (22, _WIRE, "test_a_strange_cursor_loses_nothing"),
    (23, _S2, "test_every_record_keeps_its_number"),
    # 24 to 26 are about records that this gateway never writes: garbled ones, `upgrade-required`, repeated ids.
    (27, _BASIC, "test_a_reloaded_page_of_an_idle_chat_settles_at_once"),
    (28, _WIRE, "test_an_idle_chat_is_settled"),
    (29, _ON, "test_a_send_is_one_append_of_one_message_and_a_stream"),
    (30, _WIRE, "test_a_stranger_is_refused"),
    (31, _WIRE, "test_a_large_record_is_refused_readably_for_other_origins"),
    (32, _WIRE, "test_one_stream_spans_turns_and_has_many_readers"),
    (33, _BASIC, "test_a_watching_page_sees_turns_that_others_start"),
    (33, "trigger/test_odd", "test_what_a_stranger_tries_works"),
    (34, _WIRE, "test_headers_leave_at_once"),
    (35, _WIRE, "test_a_silent_turn_is_kept_alive_by_records_that_move_no_cursor"),
    (36, _MORE, "test_a_message_in_mid_answer_waits_for_its_own_turn"),
    (37, _MORE, "test_a_message_in_mid_answer_waits_for_its_own_turn"),
    (38, _MORE, "test_a_send_that_races_an_action_gets_its_answer"),
    (39, _BASIC, "test_a_stop_ends_one_turn_and_not_the_next"),
    (40, _BASIC, "test_a_stop_ends_one_turn_and_not_the_next"),
    (41, _BASIC, "test_a_stop_ends_one_turn_and_not_the_next"),
    (42, _ON, "test_a_second_stop_of_a_turn_does_nothing"),
    (43, _BASIC, "test_a_stop_ends_one_turn_and_not_the_next"),
    (44, _ON, "test_a_resumed_reader_that_leaves_stops_nothing"),
    (45, _ON, "test_a_stop_is_kept_by_the_page"),
    (85, _MORE, "test_a_token_opens_what_its_scopes_name"),
]
_LEFT_OUT = {24, 25, 26}


def test_every_behaviour_has_its_test() -> None:
    assert {number for number, _, _ in SHOWN} | _LEFT_OUT == {*range(1, 46), 85}


@pytest.mark.parametrize("file", sorted({file for _, file, _ in SHOWN}))
def test_the_tests_are_there(file: str) -> None:
    tree = ast.parse((REPOSITORY / "tests" / f"{file}.py").read_text())
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {name for _, each, name in SHOWN if each == file} <= there
