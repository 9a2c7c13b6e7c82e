"""An event stream is read the same however its bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.engine import sse
from chat.engine.errors import Garbled
from chat.engine.sse import EventStream, ServerEvent


def events(*pieces: bytes) -> list[ServerEvent]:
    stream = EventStream()
    return [event for piece in pieces for event in stream.feed(piece)] + stream.finish()


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_and_every_split_gives_the_same_events(end: bytes) -> None:
    lines = [b"data: one", b"", b": comment", b"id: 7", b"", b"event: error", b"data:two", b"data:"]
    body = end.join([*lines, b"data:  three ", b"", b"data: last"])
    expected = [("", b"one"), ("error", b"two\n\n three "), ("", b"last")]

    assert events(body) == expected
    for cut in range(len(body) + 1):
        assert events(body[:cut], body[cut:]) == expected
    assert events(*(bytes([byte]) for byte in body)) == expected


def test_mixed_line_ends_are_told_apart_at_every_split() -> None:
    body = b"data: a\r\n\ndata: b\r\rdata: c\n\r\ndata: d\r\n\r\n"
    expected = [("", data) for data in (b"a", b"b", b"c", b"d")]
    assert events(body) == expected
    for cut in range(len(body) + 1):
        assert events(body[:cut], b"", body[cut:]) == expected
    assert events(*(bytes([byte]) for byte in body)) == expected


PARTS = [b"\r", b"\n", b"data: a", b"data:b", b":c", b"event:d", b"x", b"data: {}", b"error:e"]


@given(st.lists(st.sampled_from(PARTS)))
def test_bytes_one_by_one_say_what_they_say_together(parts: list[bytes]) -> None:
    body = b"".join(parts)
    assert events(*(bytes([byte]) for byte in body)) == events(body)


def test_a_name_holds_for_its_own_event_only() -> None:
    assert events(b"event: error\n\ndata: x\n\n") == [("", b"x")]


def test_empty_data_is_a_sign_of_life_and_no_event() -> None:
    assert events(b"data:\n\ndata: \n\ndata\n\n: x\n\nretry: 5\n\n") == []


def test_an_error_may_be_a_field_of_its_own() -> None:
    assert events(b'error: {"a": 1}\n\ndata: x\n\n') == [("error", b'{"a": 1}'), ("", b"x")]


def test_a_line_that_was_wrapped_twice_is_unwrapped() -> None:
    body = b"data: data: x\ndata: \ndata: \n\ndata: : ping\n\ndata:data:y\n\ndata: event: e\n"
    assert events(body) == [("", b"x\n\n"), ("", b"y")]


def test_json_after_json_is_the_next_event_without_a_blank_line() -> None:
    body = b'data: {"a": 1}\ndata: {"b": [2]}\ndata: [3]\ndata: [DONE]\n'
    expected = [("", data) for data in (b'{"a": 1}', b'{"b": [2]}', b"[3]", b"[DONE]")]
    assert events(body) == expected
    assert EventStream().feed(body) == expected[:-1]  # nobody waits for the end
    assert events(*(bytes([byte]) for byte in body)) == expected


def test_json_over_many_lines_stays_one_event() -> None:
    lines = [b"{", b'  "a": [', b"    {},", b"    {", b"    }", b"  ]", b"}"]
    assert events(b"".join(b"data: " + line + b"\n" for line in lines)) == [("", b"\n".join(lines))]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert events(b"\xef\xbb\xbfdata: x\n\n") == [("", b"x")]


def test_only_line_ends_end_a_line() -> None:
    data = "a\x0bb\x0cc\x1cd\x85e\u2028f".encode()
    assert events(b"data: " + data + b"\n\n") == [("", data)]


def test_no_depth_of_wrapping_is_too_much() -> None:
    assert events(b"data:" * 100_000 + b"x\n\n") == [("", b"data:" * 99_998 + b"x")]
    assert events(b"\xef\xbb\xbf" * 100_000 + b"data: x\n\n") == [("", b"x")]


ENDLESS = [b"x" * 1_000_000, b"data: " + b"x" * 999_993 + b"\n", b"error:" + b"x" * 999_993 + b"\n"]


@pytest.mark.parametrize("piece", ENDLESS)
def test_an_event_that_does_not_end_is_given_up(piece: bytes) -> None:
    pieces = [piece] * (sse.EVENT_BYTES // len(piece) + 2)
    with pytest.raises(Garbled):
        events(*pieces)


def test_an_endless_stream_of_finished_events_is_no_such_thing() -> None:
    stream = EventStream()
    for _ in range(40):
        assert len(stream.feed(b": c\n\ndata: " + b"x" * 1_000_000 + b"\n\n")) == 1
