"""A finish reason is kept as it was sent, unless the page has to say something about it."""

import pytest

from chat.engine.ending import ending, is_failure


@pytest.mark.parametrize(
    "reason",
    [
        *("stop", "STOP", "eos", "eos_token", "end", "end_turn", "stop_sequence", "COMPLETE"),
        *("tool_calls", "function_call", "error", "not heard of yet", "length of it"),
    ],
)
def test_an_end_stays_as_it_was_sent(reason: str) -> None:
    assert ending(reason) == reason
    assert not is_failure(reason)


@pytest.mark.parametrize(
    "reason",
    ["length", "max_tokens", "MAX_TOKENS", "max-tokens", "max_output_tokens", "model_length"],
)
def test_a_reply_that_reached_its_limit_says_so(reason: str) -> None:
    assert ending(reason) == "length"


@pytest.mark.parametrize(
    "reason",
    [
        *("content_filter", "content-filter", "content_filter: RECITATION", "SAFETY", "refusal"),
        *("PROHIBITED_CONTENT", "sensitive", "SPII"),
    ],
)
def test_a_reply_that_a_filter_cut_says_so(reason: str) -> None:
    assert ending(reason) == "content_filter"


@pytest.mark.parametrize("reason", ["network_error", "network-error", "abort", "ABORT", "timeout"])
def test_a_reply_that_was_broken_off_is_told_apart(reason: str) -> None:
    assert is_failure(reason)
    assert ending(reason) == reason
