"""A reply with tool calls looks the same while it is written and when it is read again."""

import re

import pytest

from chat.delivery.body import stored_html
from chat.delivery.live import LiveReply
from chat.engine.events import CallDelta, CallStep, Ended, Event, Outcome, Step, TextDelta
from chat.models import Message, ToolCall, User
from tests.delivery.page_of import Swapped
from tests.talk import talk

EVENTS: list[Event] = [
    TextDelta("Let me *see*:\n\n- one\n"),
    CallDelta(0, "add", '{"a": 1, "wo'),
    CallDelta(1, "", '{"x"'),
    CallDelta(0, "", 'rds": "<b>"}'),
    CallDelta(1, "now", ": 2}"),
    CallStep(0, Step.RUNNING),
    CallStep(1, Step.INVALID, "No <i>.", 0.5),
    CallStep(0, Step.DONE, "2 <script>", 1_500.0),
    TextDelta("\n\nIt is **2**."),
    CallDelta(2, "stop_me", ""),
    CallStep(2, Step.STOPPED),
    Ended(Outcome.STOPPED),
]
TEXT = "".join(event.text for event in EVENTS if isinstance(event, TextDelta))


@pytest.mark.django_db
@pytest.mark.parametrize("size", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("late", range(len(EVENTS) + 1))
def test_live_is_as_stored_whenever_the_page_comes(ada: User, late: int, size: int) -> None:
    _conversation, _asked, message = talk(ada, TEXT)
    live = LiveReply(message.pk, message.conversation_id)
    page = Swapped(message.pk)
    page.take(live.start(EVENTS[:late]))
    for at in range(late, len(EVENTS), size):
        page.take(live.apply(EVENTS[at : at + size]))
    stored = stored_html(message.pk, TEXT, calls(message), None)
    assert page.words() == Swapped(message.pk, stored).words()
    assert page.approvals == ""


def calls(message: Message) -> list[ToolCall]:
    at = len("Let me *see*:\n\n- one\n")
    rows = [
        (0, "add", '{"a": 1, "words": "<b>"}', "done", "2 <script>", 1_500.0, at),
        (1, "now", '{"x": 2}', "invalid", "No <i>.", 0.5, at),
        (2, "stop_me", "", "written", "", None, len(TEXT)),
    ]
    return [
        ToolCall(
            message=message, number=number, round=1, name=name, arguments=arguments, state=state,
            result=result, duration_ms=took, offset=offset,
        )
        for number, name, arguments, state, result, took, offset in rows
    ]  # fmt: skip


@pytest.mark.django_db
def test_the_name_is_there_at_once_and_the_arguments_as_they_come(ada: User) -> None:
    _conversation, _asked, message = talk(ada)
    live = LiveReply(message.pk, message.conversation_id)
    page = Swapped(message.pk)
    page.take(live.start([]))
    page.take(live.apply([CallDelta(0, "search", "")]))
    assert "search" in page.html
    page.take(live.apply([CallDelta(0, "", '{"query": "half a wo')]))
    assert "half a wo" in page.html
    assert "{" not in re.sub(r"<[^>]*>", "", page.html)
    page.take(live.apply([CallDelta(0, "", 'rd"}')]))
    assert "half a word" in page.html


@pytest.mark.django_db
def test_who_is_asked_sees_the_arguments_and_is_asked_once(ada: User) -> None:
    _conversation, _asked, message = talk(ada)
    live = LiveReply(message.pk, message.conversation_id)
    page = Swapped(message.pk)
    page.take(live.start([CallDelta(0, "send_mail", '{"to": "<bob>"}')]))
    asked = live.apply([CallStep(0, Step.WAITING)])
    page.take(asked)
    assert "send_mail" in page.approvals
    assert "&lt;bob&gt;" in page.approvals
    assert f"/messages/{message.pk}/calls/0/approve" in page.approvals
    assert live.apply([]) == []
    # A page that comes now is asked too.
    other = LiveReply(message.pk, message.conversation_id)
    late = Swapped(message.pk)
    late.take(other.start([CallDelta(0, "send_mail", "{}"), CallStep(0, Step.WAITING)]))
    assert "send_mail" in late.approvals
    page.take(live.apply([CallStep(0, Step.RUNNING)]))
    assert page.approvals == ""
