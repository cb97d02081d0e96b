"""The AI SDK's UI message stream, pure: chunks, messages, and the ways between them."""

from chatagent.ui.abort import cleanup_aborted_parts
from chatagent.ui.chunk import FINISH_REASONS, finish_reason, tidy_chunk, validate_chunk
from chatagent.ui.complete import asks_to_go_on
from chatagent.ui.dialect import Dialect
from chatagent.ui.encode import as_json, decode, encode, encode_value
from chatagent.ui.fold import Fold, fold_message
from chatagent.ui.model_message import model_output, to_model_messages
from chatagent.ui.partial_json import parse_partial_json
from chatagent.ui.recovery import Recovered, recover
from chatagent.ui.replay import message_to_chunks, replay
from chatagent.ui.steering import steering_chunk
from chatagent.ui.translation import translate_message

__all__ = [
    "FINISH_REASONS",
    "Dialect",
    "Fold",
    "Recovered",
    "as_json",
    "asks_to_go_on",
    "cleanup_aborted_parts",
    "decode",
    "encode",
    "encode_value",
    "finish_reason",
    "fold_message",
    "message_to_chunks",
    "model_output",
    "parse_partial_json",
    "recover",
    "replay",
    "steering_chunk",
    "tidy_chunk",
    "to_model_messages",
    "translate_message",
    "validate_chunk",
]
