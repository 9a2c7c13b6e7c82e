"""The bytes of an event stream → its events. Pure: ``feed(piece)``, ``finish()``, no I/O.

After https://html.spec.whatwg.org/multipage/server-sent-events.html, and of its fields only those
that chat completions use. Not the SDK's decoder, because that one hides comments, which are a sign
of life, and the event's name, which may be all that says "error"; and it yields one event at a
time through five generators, where one read of the socket often holds many.

Three departures, each for streams met in the wild and none of which a stream of JSON can mean
otherwise: an ``error:`` field is an event of that name; a data line that is itself a line of an
event stream was wrapped twice; and a line of data that begins where a JSON value has just ended is
the next event, though no blank line stands between the two.
"""

from chat.engine.errors import Garbled

# An unfinished event is held in memory; the longest real ones are whole answers in one event.
EVENT_BYTES = 16_000_000
BOM = b"\xef\xbb\xbf"
WRAPPED = (b"data:", b"event:", b":")
OPENS, CLOSES = (b"{", b"["), (b"}", b"]")

ServerEvent = tuple[str, bytes]  # its name ("" if it has none), its data


class EventStream:
    """Splits pieces of any size into events. A line may end in LF, CR or CR LF."""

    def __init__(self) -> None:
        self._line: list[bytes] = []  # of the line that has not ended
        self._held = 0
        self._cr = False  # the last piece ended in CR: a LF that follows belongs to it
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """The events that this piece completes.

        Raises:
            Garbled: an event that does not end.
        """
        if self._cr and piece:
            piece, self._cr = piece.removeprefix(b"\n"), False
        if not piece:
            return []
        self._cr = piece.endswith(b"\r")
        lines = piece.splitlines()
        rest = b"" if self._cr or piece.endswith(b"\n") else lines.pop()
        if lines and self._line:
            lines[0] = b"".join([*self._line, lines[0]])
            self._line.clear()
        events: list[ServerEvent] = []
        for line in lines:
            if not line:
                self._end_event(events)
            else:
                self._field(line, events)
        if rest:
            self._line.append(rest)
            self._held += len(rest)
        if self._held > EVENT_BYTES:
            raise Garbled("an event that does not end")
        return events

    def finish(self) -> list[ServerEvent]:
        """The events that the end of the stream completes: the last blank line is often left
        out."""
        events: list[ServerEvent] = []
        if self._line:
            self._field(b"".join(self._line), events)
            self._line.clear()
        self._end_event(events)
        return events

    def _field(self, line: bytes, events: list[ServerEvent], *, unwrapped: bool = False) -> None:
        if line.startswith(b"data:"):
            data = line[6:] if line[5:6] == b" " else line[5:]
            if data.startswith(WRAPPED) and not unwrapped:
                self._field(data, events, unwrapped=True)
                return
            if self._data and data.startswith(OPENS) and self._data[-1].endswith(CLOSES):
                self._end_event(events)
            self._data.append(data)
            self._held += len(line)
        elif line.startswith(b"event:"):
            self._name = line[6:].strip().decode(errors="replace")
        elif line.startswith(b"error:"):
            self._name = "error"
            self._data.append(line[6:].strip())
            self._held += len(line)
        elif line.startswith(BOM):
            self._field(line.lstrip(BOM), events)

    def _end_event(self, events: list[ServerEvent]) -> None:
        if self._data and (data := b"\n".join(self._data)) and not data.isspace():
            events.append((self._name, data))
        self._data.clear()
        self._name = ""
        self._held = 0
