"""SIGNUP=invite: a link lets one person in, once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.signing import Signer
from django.test import Client
from django.utils import timezone

from chat.accounts import invitations
from chat.accounts.adapter import Adapter
from chat.models import Invitation, User
from tests.accounts.conftest import answers, signed_in_as

pytestmark = pytest.mark.django_db
URL = "/accounts/signup/"


def test_the_link_leads_through_the_form_to_an_account(
    client: Client, invitation: Invitation
) -> None:
    token = invitations.token(invitation)
    page = client.get(URL, {"invite": token})
    assert page.context["form"]["invite"].value() == token
    client.post(URL, answers(invite=token))
    invitation.refresh_from_db()
    assert signed_in_as(client) == "grace"
    assert invitation.used_by is not None
    assert invitation.used_by.username == "grace"
    assert invitation.used_at is not None


def test_a_mistake_in_the_form_does_not_use_it_up(client: Client, invitation: Invitation) -> None:
    token = invitations.token(invitation)
    page = client.post(URL, answers(invite=token, password2="different"))
    assert page.context["form"]["invite"].value() == token
    assert invitations.stands(token)


def test_it_lets_nobody_in_twice(client: Client, invitation: Invitation) -> None:
    token = invitations.token(invitation)
    client.post(URL, answers(invite=token))
    other = Client()
    assert "<form" not in other.get(URL, {"invite": token}).content.decode()
    page = other.post(URL, answers("mallory", invite=token))
    assert "This invitation cannot be used" in page.content.decode()
    assert not User.objects.filter(username="mallory").exists()


def test_it_stays_used_when_its_account_goes(client: Client, invitation: Invitation) -> None:
    token = invitations.token(invitation)
    client.post(URL, answers(invite=token))
    User.objects.get(username="grace").delete()
    assert not invitations.stands(token)


def test_it_ends_with_its_date(client: Client, invitation: Invitation) -> None:
    invitation.expires_at = timezone.now() - timedelta(seconds=1)
    invitation.save()
    client.post(URL, answers(invite=invitations.token(invitation)))
    assert not User.objects.filter(username="grace").exists()


def test_it_can_be_withdrawn(client: Client, invitation: Invitation) -> None:
    token = invitations.token(invitation)
    invitation.delete()
    client.post(URL, answers(invite=token))
    assert not User.objects.filter(username="grace").exists()


def test_it_cannot_be_forged(client: Client, invitation: Invitation) -> None:
    token = invitations.token(invitation)
    number, _, signature = token.partition(":")
    forged = [
        str(invitation.pk),
        f"{int(number) + 1}:{signature}",
        token[:-1],
        Signer(salt="another purpose").sign(number),
        Signer(salt="chat.accounts.invitations").sign("not a number"),
        "\x00",
        "",
    ]
    for attempt in forged:
        client.post(URL, answers(invite=attempt))
    assert not User.objects.filter(username="grace").exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_use_it_at_once_one_gets_in(
    invitation: Invitation,
    at_once: Callable[..., list[Any]],
    meet: Callable[[Any, str, int], None],
) -> None:
    token = invitations.token(invitation)
    meet(Adapter, "save_user", 2)
    responses = at_once(
        lambda: Client().post(URL, answers("grace", invite=token)),
        lambda: Client().post(URL, answers("linus", invite=token)),
    )
    assert sorted(response.status_code for response in responses) == [200, 302]
    loser = next(response for response in responses if response.status_code == 200)
    assert "This invitation cannot be used" in loser.content.decode()
    winner = User.objects.get(username__in=["grace", "linus"])
    invitation.refresh_from_db()
    assert invitation.used_by == winner
