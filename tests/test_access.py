"""Each URL as owner, stranger and anonymous: a stranger does not even learn that it is there."""

import uuid
from collections.abc import Callable

import pytest
from django.test import Client

from chat import actions, tickets
from chat.models import Conversation, Message, User

READ = ["/c/{c}/", "/c/{c}/export.json", "/c/{c}/export.md", "/c/{c}/rename", "/c/{c}/delete"]
READ += ["/c/{c}/settings", "/c/{c}/messages/{q}/edit"]
WRITE = ["/c/{c}/messages", "/c/{c}/stop", "/c/{c}/rename", "/c/{c}/delete", "/c/{c}/settings"]
WRITE += ["/c/{c}/messages/{q}/edit"]
WRITE += ["/c/{c}/messages/{m}/" + command for command in ("regenerate", "continue", "show")]


@pytest.fixture
def conversation(ada: User) -> Conversation:
    identity = uuid.uuid4()
    actions.send(ada, identity, "A secret", "first-key", may_create=True)
    actions.stop(ada, identity)
    return Conversation.objects.get(pk=identity)


def url(pattern: str, conversation: Conversation) -> str:
    asked, reply = conversation.messages.order_by("pk")
    return pattern.format(c=conversation.pk, q=asked.pk, m=reply.pk)


@pytest.mark.parametrize("pattern", READ)
def test_the_owner_reads(
    pattern: str, ada: User, conversation: Conversation, sign_in: Callable[[User], Client]
) -> None:
    assert sign_in(ada).get(url(pattern, conversation)).status_code == 200


@pytest.mark.parametrize("pattern", READ)
def test_a_stranger_reads_what_he_would_read_of_nothing(
    pattern: str, bob: User, conversation: Conversation, sign_in: Callable[[User], Client]
) -> None:
    theirs = sign_in(bob).get(url(pattern, conversation))
    nobodys = sign_in(bob).get(pattern.format(c=uuid.uuid4(), q=1, m=1))
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content == nobodys.content


@pytest.mark.parametrize("pattern", READ)
def test_an_administrator_has_no_door_of_his_own_to_a_conversation(
    pattern: str, admin: User, conversation: Conversation, sign_in: Callable[[User], Client]
) -> None:
    assert sign_in(admin).get(url(pattern, conversation)).status_code == 404


@pytest.mark.parametrize("pattern", READ)
def test_the_anonymous_are_asked_to_sign_in(pattern: str, conversation: Conversation) -> None:
    answer = Client().get(url(pattern, conversation))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("pattern", WRITE)
def test_a_stranger_changes_nothing(
    pattern: str, bob: User, conversation: Conversation, sign_in: Callable[[User], Client]
) -> None:
    form = {"text": "Hi", "key": "another-key", "title": "Mine", "model": ""}
    assert sign_in(bob).post(url(pattern, conversation), form).status_code == 404
    conversation.refresh_from_db()
    assert (conversation.title, conversation.deleted_at) == ("A secret", None)
    assert Message.objects.count() == 2


@pytest.mark.parametrize("pattern", WRITE)
def test_the_anonymous_change_nothing(pattern: str, conversation: Conversation) -> None:
    assert Client().post(url(pattern, conversation), {"text": "Hi"}).status_code == 302
    assert Message.objects.count() == 2


@pytest.mark.parametrize("pattern", WRITE)
def test_a_form_without_its_token_is_refused(
    pattern: str, ada: User, conversation: Conversation
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    assert client.post(url(pattern, conversation), {"text": "Hi"}).status_code == 403


def test_a_ticket_is_for_one_user_and_one_conversation(ada: User, bob: User) -> None:
    conversation = uuid.uuid4()
    ticket = tickets.issue(ada.pk, conversation)
    assert tickets.is_valid(ticket, ada.pk, conversation)
    assert not tickets.is_valid(ticket, bob.pk, conversation)
    assert not tickets.is_valid(ticket, ada.pk, uuid.uuid4())
    assert not tickets.is_valid(ticket[:-1], ada.pk, conversation)


def test_a_deactivated_user_reads_nothing(
    ada: User, conversation: Conversation, sign_in: Callable[[User], Client]
) -> None:
    client = sign_in(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert client.get(f"/c/{conversation.pk}/").status_code == 302
