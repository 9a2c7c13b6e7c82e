"""Every recorded stream gives its reader the same, whole, cut into pieces, over a real socket; and
none that was broken off ends as complete."""

import random
from itertools import pairwise

import pytest

from chat.engine import turn
from chat.engine.events import Outcome
from chat.engine.provider import Provider
from chat.engine.reply import Reply
from chat.engine.thoughts import TAGS
from tests.engine.running import Run, read, run
from tests.fake_provider import FakeProvider, Headers, Raw, Script
from tests.streams import RECORDED, Recorded
from tests.streams.catalogue import HERE, TYPES

every = pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)

# What these say until they are cut is not the beginning of what they say as a whole: the second of
# two texts may be the first one again, or the next part of it, and only a third one tells.
AMBIGUOUS = {"dashscope-all-the-text-each-time"}
# These have said that they ended before they had: who cuts them there is not found out.
TOO_EARLY = {"finish-before-the-last-text", "openwebui-finish-on-every-thought-then-cut"}


def told(recorded: Recorded, *pieces: bytes) -> tuple[Reply, str]:
    """The reply that a body in these pieces makes, and the kind of its error."""
    deltas, answer = read(*pieces, content_type=recorded.content_type)
    reply = Reply()
    for delta in deltas:
        reply.feed(delta)
    return reply, answer.error.kind if answer.error else ""


def test_every_file_is_in_the_catalogue_and_in_the_documentation() -> None:
    files = sorted(path.name for path in HERE.iterdir() if path.suffix in TYPES)
    assert files == sorted(recorded.file for recorded in RECORDED)
    table = (HERE.parents[1] / "docs" / "providers.md").read_text()
    assert [name for name in files if f"`{name.rpartition('.')[0]}`" not in table] == []


@every
def test_it_says_what_it_said(recorded: Recorded) -> None:
    reply, kind = told(recorded, recorded.body)
    assert (reply.text, reply.reasoning) == (recorded.text, recorded.reasoning)
    assert reply.finish_reason == recorded.finish
    assert kind == ("" if recorded.error == "empty" else recorded.error)  # that is the turn's word


@every
def test_it_says_the_same_in_any_pieces(recorded: Recorded) -> None:
    body = recorded.body
    whole, kind = told(recorded, body)
    chance = random.Random(recorded.name)
    cuts = [[], *([n] for n in chance.sample(range(len(body)), min(60, len(body))))]
    cuts += [list(range(0, len(body), size)) for size in (1, 2, 3, 7, 50)]
    cuts += [sorted(chance.choices(range(len(body) + 1), k=9)) for _ in range(20)]
    for ends in cuts:
        edges = [0, *ends, len(body)]
        pieces = [body[a:b] for a, b in pairwise(edges)]
        reply, cut_kind = told(recorded, *pieces)
        assert (reply.text, reply.reasoning) == (whole.text, whole.reasoning)
        assert (reply.finish_reason, cut_kind) == (whole.finish_reason, kind)


@every
def test_cut_anywhere_it_is_a_beginning_and_not_complete(recorded: Recorded) -> None:
    body = recorded.body
    for end in range(0, len(body), max(1, len(body) // 150)):
        reply, kind = told(recorded, body[:end])
        if recorded.name not in AMBIGUOUS:
            text = reply.text.rstrip("\ufffd")  # half a character, half a tag
            assert recorded.text.startswith(text) or any(tag.startswith(text) for tag in TAGS)
            assert recorded.reasoning.startswith(reply.reasoning.rstrip("\ufffd")) or "</" in (
                reply.reasoning
            )
        if reply.text and reply.finish_reason and not kind and recorded.name not in TOO_EARLY:
            assert (reply.text, recorded.error) == (recorded.text, "")


# Over a socket


def sent(recorded: Recorded, body: bytes, **how: object) -> Script:
    steps = (Headers(recorded.content_type), Raw(body))
    return Script(*steps).using(**how)


@pytest.fixture
def _one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is tried again: what the second call would say is another test's."""
    monkeypatch.setattr(turn, "CALLS", 1)


def agrees(done: Run, recorded: Recorded) -> None:
    reply = done.turn.reply
    assert (reply.text, reply.reasoning) == (recorded.text, recorded.reasoning)
    assert (done.kind, reply.finish_reason) == (recorded.error, recorded.finish)
    if not recorded.error:
        assert done.turn.outcome == Outcome.COMPLETE
    else:
        empty = not (recorded.text or recorded.reasoning)
        assert done.turn.outcome == (Outcome.FAILED if empty else Outcome.INTERRUPTED)


@every
@pytest.mark.usefixtures("_one_call")
async def test_it_makes_the_same_turn_however_it_travels(
    recorded: Recorded, client: Provider, provider: FakeProvider
) -> None:
    body = recorded.body
    for how in ({}, {"framing": "close"}, {"byte_split": 1}):
        provider.script(sent(recorded, body, **how))
        agrees(await run(client), recorded)


@every
@pytest.mark.usefixtures("_one_call")
async def test_cut_in_the_middle_it_is_never_complete(
    recorded: Recorded, client: Provider, provider: FakeProvider
) -> None:
    middle = len(recorded.body) // 2
    for framing in ("chunked", "close"):
        provider.script(sent(recorded, recorded.body, cut_after=middle, framing=framing))
        done = await run(client)
        reply, _ = told(recorded, recorded.body[:middle])
        assert (done.text, done.turn.reply.reasoning) == (reply.text, reply.reasoning)
        if done.turn.outcome == Outcome.COMPLETE:
            assert (done.text, recorded.error) == (recorded.text, "")
