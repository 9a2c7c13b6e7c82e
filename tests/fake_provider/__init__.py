"""A scriptable OpenAI-compatible provider on a real socket, for tests and for the benchmark.

    script.py      what to answer: a Script is a sequence of frozen steps
    encode.py      steps → bytes of an event stream, no I/O
    wire.py        HTTP/1.1 by hand: a framework would forbid what odd providers do
    player.py      plays one script on one connection
    stamped.py     the benchmark's stream: tokens that carry their send time
    answers.py     the endpoints that do not stream: titles, models, moderations, errors
    connection.py  one connection: request, script, watch for the client's close
    recorded.py    what was asked: one Request each, with condition-based waiting
    server.py      FakeProvider: its own thread and event loop

`python -m tests.fake_provider --port P --tokens N --rate R` serves the benchmark's stream.
"""

from .answers import error_body
from .encode import body_of
from .recorded import Request
from .script import (
    Bench,
    Chunk,
    Comment,
    Cut,
    Done,
    Finish,
    Gate,
    Headers,
    Raw,
    Reasoning,
    Refusal,
    Reset,
    Script,
    StallForever,
    Status,
    Step,
    Text,
    Usage,
    Wait,
    Wire,
    reply,
    tool_call,
)
from .server import FakeProvider

__all__ = [
    "Bench",
    "Chunk",
    "Comment",
    "Cut",
    "Done",
    "FakeProvider",
    "Finish",
    "Gate",
    "Headers",
    "Raw",
    "Reasoning",
    "Refusal",
    "Request",
    "Reset",
    "Script",
    "StallForever",
    "Status",
    "Step",
    "Text",
    "Usage",
    "Wait",
    "Wire",
    "body_of",
    "error_body",
    "reply",
    "tool_call",
]
