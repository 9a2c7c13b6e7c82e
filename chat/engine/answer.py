"""The body of one answer, piece by piece → deltas. Pure, and the same however it is cut."""

import json
from typing import Any

import jiter

from chat.engine.chunks import Chunks
from chat.engine.errors import Garbled, ProviderError
from chat.engine.events import Delta
from chat.engine.faults import complaint, error_for, reported_error
from chat.engine.sse import EventStream

WHOLE_BYTES = 4_000_000  # of an answer that is not a stream
EXCERPT_BYTES = 300  # of what is no answer, for the operator: a page of HTML says who sent it
DONE_BYTES = 12  # no chunk is as short as the word for the end
KEEP_ALIVE = {"ping", "keepalive", "keep-alive", "heartbeat"}
NO_WORDS = (b"{", b"[", b'"')  # the beginning of JSON: a chunk, which may hold what the model said


def decoded(data: bytes) -> Any:
    """JSON → Python. With jiter, six times as fast as ``json``, where it can.

    Bytes that are no UTF-8 become U+FFFD, as everywhere in an event stream: one broken character
    is no reason to lose a reply.

    Raises:
        Garbled: bad JSON.
    """
    try:
        return jiter.from_json(data)
    except ValueError:
        pass  # also for half a surrogate pair, which Python can hold and Rust cannot
    try:
        return json.loads(data.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as error:
        # Not the error's own words, and not a chunk's: some hold what the model said.
        words = "" if data.lstrip().startswith(NO_WORDS) else f": {_excerpt(data)}"
        raise Garbled(f"data that is no JSON: {type(error).__name__}{words}") from None


class Answer:
    """Reads a body as an event stream; one that holds no event is taken as a whole completion.

    ``done`` is set when nothing more is wanted: after ``[DONE]``, or an error, which ``error`` then
    holds.
    """

    def __init__(self, content_type: str = "") -> None:
        self.done = False
        self.error: ProviderError | None = None
        self._content_type = content_type
        self._stream = EventStream()
        self._chunks = Chunks()
        self._whole: list[bytes] | None = []  # the body, until its first event
        self._whole_bytes = 0

    def feed(self, piece: bytes) -> list[Delta]:
        """The deltas that this piece completes. Empty for a sign of life without one."""
        deltas: list[Delta] = []
        if self.done:
            return deltas
        try:
            self._read(self._stream.feed(piece), deltas)
            if self._whole is not None:
                self._keep(piece)
        except ProviderError as error:
            self._end(error)
        except RecursionError:
            self._end(Garbled("data that is nested too deep"))
        return deltas

    def finish(self) -> list[Delta]:
        """The deltas that the end of the body completes."""
        deltas: list[Delta] = []
        if not self.done:
            try:
                self._read_last(deltas)
            except RecursionError:
                self._end(Garbled("data that is nested too deep"))
        deltas += self._chunks.finish(in_order=self.done and self.error is None)
        self.done = True
        return deltas

    def _read(self, events: list[tuple[str, bytes]], deltas: list[Delta]) -> None:
        for name, data in events:
            self._whole = None
            if name in KEEP_ALIVE:
                continue
            if len(data) <= DONE_BYTES and data.strip(b'" []').upper() == b"DONE":
                self._end()
                return
            if name == "error":
                self._end(_error_event(data))
                return
            deltas += self._chunks.feed(decoded(data))
            if self._chunks.error is not None:
                self._end(self._chunks.error)
                return

    def _read_last(self, deltas: list[Delta]) -> None:
        try:
            self._read(self._stream.finish(), deltas)
        except Garbled:
            return  # a last event without its end is a body that was cut, not a garbled one
        if self._whole is None:
            return
        body = b"".join(self._whole)
        try:
            deltas += self._chunks.feed(decoded(body))
            self._end(self._chunks.error)
        except Garbled:
            start = body.lstrip()
            if "event-stream" not in self._content_type or start.startswith((b"<", *NO_WORDS)):
                words = "" if start.startswith(NO_WORDS) else f": {_excerpt(body)}"
                what = f"an answer that is no stream: {self._content_type!r}{words}"
                self._end(Garbled(what))

    def _keep(self, piece: bytes) -> None:
        assert self._whole is not None
        self._whole.append(piece)
        self._whole_bytes += len(piece)
        if self._whole_bytes > WHOLE_BYTES:
            raise Garbled("an answer that is no stream and does not end")

    def _end(self, error: ProviderError | None = None) -> None:
        if isinstance(error, Garbled) and self._chunks.ended:
            error = None  # the reply was whole: what is garbled is some gateway's postscript
        self.done, self.error = True, error


def _error_event(data: bytes) -> ProviderError:
    """The error of an ``event: error``, whatever its data looks like."""
    try:
        body = decoded(data)
    except Garbled:
        body = data.decode(errors="replace")
    code = body.get("code") or body.get("type") if isinstance(body, dict) else None
    return reported_error(body) or error_for(code, complaint(body))


def _excerpt(data: bytes) -> str:
    return " ".join(data[:EXCERPT_BYTES].decode(errors="replace").split())
