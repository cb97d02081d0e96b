"""What a chat of this kind shows, behaviour by behaviour, and the test that shows it here.

The numbers are those of the list that the project was begun with; 1-45 are about the wire and the clients (most of
them in `tests/trigger`, `tests/flask` and `tests/e2e`).
"""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.stack import REPOSITORY

#: Number → what it is about, and the tests.
SHOWN: dict[int, tuple[str, ...]] = {
    # messages during a turn become turns of their own, in order
    46: ("runtime/test_busy.py::test_enqueued_messages_get_turns_of_their_own_in_order",),
    # a turn that throws: error, turn-complete, the chat goes on
    47: ("runtime/test_turn.py::test_an_agent_that_raises_ends_its_turn_with_a_masked_error_and_the_chat_lives_on",),
    48: ("runtime/test_hooks.py::test_a_failed_turn_tells_on_turn_complete_its_error_and_keeps_the_question",),
    49: (
        "runtime/test_turn_tools.py::"
        "test_a_model_that_fails_mid_stream_leaves_its_partial_answer_to_the_hooks_and_the_next_turn",
    ),
    50: (
        "runtime/test_hooks.py::test_hooks_run_in_the_order_of_the_reference",
        "runtime/test_hooks.py::"
        "test_the_record_is_on_the_wire_before_on_turn_complete_and_not_before_on_before_turn_complete",
    ),
    51: (
        "runtime/test_run_life.py::test_chat_start_is_called_once_also_when_the_first_attempt_died_after_it",
        "runtime/test_run_life.py::test_after_max_turns_the_run_ends_and_the_next_message_continues_the_chat",
    ),
    52: ("runtime/test_hooks.py::test_hooks_run_in_the_order_of_the_reference",),
    53: ("runtime/test_hooks.py::test_invalid_client_data_is_an_error_and_no_code_of_the_author_is_called",),
    54: (
        "runtime/test_hooks.py::test_a_hook_that_raises_ends_the_turn_with_an_error_and_the_chat_lives_on",
        "runtime/test_hooks.py::test_refused_messages_are_not_stored_and_changed_ones_are",
    ),
    55: ("runtime/test_compactor.py::test_a_long_conversation_is_summed_up_for_the_model_and_stays_for_people",),
    56: ("runtime/test_run_life.py::test_end_run_lets_the_next_message_be_served_by_a_new_run_with_the_history",),
    # 57, an upgrade asked for by the run: see NOT_HERE
    58: ("runtime/test_run_life.py::test_after_max_turns_the_run_ends_and_the_next_message_continues_the_chat",),
    59: ("runtime/test_run_life.py::test_an_idle_run_is_suspended_and_resumes_in_place",),
    60: ("runtime/test_run_life.py::test_after_the_turn_timeout_the_run_has_ended_without_an_error",),
    61: ("runtime/test_turn_tools.py::test_no_record_of_one_chat_reaches_another",),
    62: ("redis/test_lease.py::test_of_two_workers_that_claim_at_once_exactly_one_gets_the_turn",),
    63: ("runtime/test_turn.py::test_the_next_turn_sees_the_whole_conversation_warm_and_cold",),
    64: (
        "runtime/test_recovery_boot.py::"
        "test_by_default_a_broken_first_step_is_dropped_and_the_question_answered_afresh",
    ),
    # With a follow-up the interrupted question is still answered first, so the follow-up's context is whole.
    65: ("runtime/test_recovery_boot.py::test_a_follow_up_is_answered_after_the_interrupted_question",),
    66: ("runtime/test_recovery_boot.py::test_it_does_not_fire_without_a_partial_answer",),
    67: ("runtime/test_recovery_boot.py::test_before_boot_runs_first_and_its_failure_is_fatal",),
    # A log and a history that tell the same message twice: what a dead attempt wrote is folded over the stored part.
    68: (
        "runtime/test_every_death.py::test_finished_tools_run_once_and_the_message_is_whole_whenever_a_worker_dies",
        "runtime/test_recovery.py::test_a_broken_step_is_redone_and_no_dead_chunk_is_stored",
    ),
    70: (
        "runtime/test_recovery_boot.py::"
        "test_by_default_a_broken_first_step_is_dropped_and_the_question_answered_afresh",
    ),
    71: (
        "runtime/test_turn_tools.py::"
        "test_answered_messages_are_never_replayed_and_unanswered_ones_never_lost_after_two_crashes",
    ),
    72: ("runtime/test_action.py::test_an_action_edits_the_chat_without_being_a_turn",),
    73: ("redis/test_lease.py::test_two_commits_of_one_turn_are_one",),
    74: ("runtime/test_action.py::test_the_verbs_of_history",),
    75: ("flask/sessions/test_session_api.py::test_a_long_history_is_read_in_pages_backwards",),
    76: (
        "runtime/test_turn_tools.py::test_a_tool_without_a_body_waits_for_the_client_and_goes_on_in_the_same_message",
    ),
    77: (
        "runtime/test_turn_tools.py::test_a_tool_without_a_body_waits_for_the_client_and_goes_on_in_the_same_message",
    ),
    78: (
        "runtime/test_turn_tools.py::"
        "test_an_approved_tool_runs_once_and_a_denied_one_never_however_often_the_answer_comes",
        "runtime/test_turn_tools.py::test_an_approval_survives_the_worker_that_ran_its_tool",
    ),
    79: (
        "runtime/test_turn_tools.py::"
        "test_an_approved_tool_runs_once_and_a_denied_one_never_however_often_the_answer_comes",
    ),
    80: ("runtime/test_action.py::test_an_action_edits_the_chat_without_being_a_turn",),
    81: ("runtime/test_action.py::test_a_bad_action_is_an_error_and_one_without_a_handler_is_none",),
    82: (
        "runtime/test_busy.py::test_a_steered_message_enters_at_the_next_step",
        "runtime/test_busy.py::test_a_message_that_the_agent_does_not_inject_gets_its_own_turn",
    ),
    83: ("runtime/test_turn_tools.py::test_the_next_turn_too_reads_what_to_model_output_made_of_a_result",),
    84: ("testing/test_chat.py::test_given_locals_injected_in_a_test_then_hooks_read_them",),
}

#: Why a behaviour has no test.
NOT_HERE = {
    57: "a deploy hands every running turn to the new workers; a run that asks for an upgrade has nothing to ask for",
    69: "there is no snapshot beside the history: a turn is committed in one step, or not at all",
}


@cache
def _tests(path: str) -> frozenset[str]:
    tree = ast.parse((REPOSITORY / "tests" / path).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("number", range(46, 85))
def test_a_behaviour_is_shown_by_a_test_that_exists(number: int) -> None:
    if number in NOT_HERE:
        assert number not in SHOWN
        return
    for place in SHOWN[number]:
        path, _, name = place.partition("::")
        assert name in _tests(path), place
