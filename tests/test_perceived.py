"""The beacon of the perceived time: believed once, of one's own reply, when it is plausible."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from chat.models import Generation, State, Usage, User
from tests.admin.rows import make_conversation, reply, say
from tests.conftest import make_user
from tests.test_ledger import enter

Sign = Callable[[User], Client]


def asked(owner: User, ago_s: float = 2.0, **fields: object) -> Generation:
    """A reply that was asked for so long ago."""
    fields = {"state": State.STREAMING, **fields}
    message = reply(say(make_conversation(owner), "Hello?"), "An ans", **fields)  # type: ignore[arg-type]
    made = timezone.now() - timedelta(seconds=ago_s)
    Generation.objects.filter(message=message).update(created_at=made)
    return message.generation


def path(generation: Generation) -> str:
    return f"/c/{generation.conversation_id}/messages/{generation.message_id}/perceived"


def stored(generation: Generation) -> float | None:
    generation.refresh_from_db()
    return generation.ttft_perceived_ms


def test_a_plausible_time_is_kept_once(ada: User, sign_in: Sign) -> None:
    generation, client = asked(ada), sign_in(ada)
    assert client.post(path(generation), {"ms": "1900.5"}).status_code == 204
    assert client.post(path(generation), {"ms": "1901"}).status_code == 400
    assert stored(generation) == 1900.5


def test_after_the_end_it_reaches_the_ledger(ada: User, sign_in: Sign) -> None:
    generation = asked(ada, state=State.COMPLETE)
    enter(generation)
    assert sign_in(ada).post(path(generation), {"ms": "1900"}).status_code == 204
    assert Usage.objects.get().ttft_perceived_ms == 1900


@pytest.mark.parametrize(
    "given",
    [
        *("", "0", "-1", "-0.0", "nan", "inf", "-inf", "1e999", "600000.1", "1e400", "0x10"),
        *("12;drop", "1,5", "١٢٣x", "1_0" * 9, "9" * 5_000, "\0", "𝟙𝟚x", "true", "null"),
        "40000",  # he asked two seconds ago
    ],
)
def test_what_is_no_plausible_time_is_refused(ada: User, sign_in: Sign, given: str) -> None:
    generation = asked(ada)
    assert sign_in(ada).post(path(generation), {"ms": given}).status_code == 400
    assert stored(generation) is None


def test_of_a_reply_that_was_asked_for_long_ago_it_is_too_late(ada: User, sign_in: Sign) -> None:
    generation = asked(ada, ago_s=400)
    assert sign_in(ada).post(path(generation), {"ms": "900"}).status_code == 400
    assert sign_in(ada).post(path(generation), {"ms": "399000"}).status_code == 204


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b'{"ms": 12}', "application/json"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"ms=12", "text/plain"),
        (b"ms=" + b"%" * 200, "application/x-www-form-urlencoded"),
        (b"&".join(b"ms=%d" % n for n in range(900)), "application/x-www-form-urlencoded"),
    ],
)
def test_hostile_bodies_are_refused(
    ada: User, sign_in: Sign, body: bytes, content_type: str
) -> None:
    generation = asked(ada, ago_s=120)
    answer = sign_in(ada).post(path(generation), body, content_type=content_type)
    assert answer.status_code == 400
    assert stored(generation) is None


def test_nobody_else_may_say_it(ada: User, bob: User, admin: User, sign_in: Sign) -> None:
    generation = asked(ada)
    for stranger in (bob, admin):
        assert sign_in(stranger).post(path(generation), {"ms": "1900"}).status_code == 404
    assert Client().post(path(generation), {"ms": "1900"}).status_code == 302
    assert Client(enforce_csrf_checks=True).post(path(generation)).status_code == 403
    assert sign_in(ada).get(path(generation)).status_code == 405
    assert stored(generation) is None


def test_only_of_a_reply_that_is_there(ada: User, sign_in: Sign) -> None:
    generation, client = asked(ada), sign_in(ada)
    question, other = generation.message.parent_id, asked(make_user("eve"))
    said = {"ms": "1900"}
    base = f"/c/{generation.conversation_id}/messages/"
    for number in (question, other.message_id, 10**30, 0):
        assert client.post(f"{base}{number}/perceived", said).status_code == 404
    generation.conversation.deleted_at = timezone.now()
    generation.conversation.save()
    assert client.post(path(generation), said).status_code == 404
    assert stored(generation) is None


def test_nothing_was_painted_before_anything_was_there(ada: User, sign_in: Sign) -> None:
    queued = asked(ada, state=State.QUEUED)
    assert sign_in(ada).post(path(queued), {"ms": "1900"}).status_code == 400
    sent_late = asked(ada, ttft_served_ms=1_950.0)
    assert sign_in(ada).post(path(sent_late), {"ms": "900"}).status_code == 400
    assert stored(sent_late) is None
    assert sign_in(ada).post(path(sent_late), {"ms": "1990"}).status_code == 204
