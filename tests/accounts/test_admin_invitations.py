"""Invitations in the admin."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from chat.accounts import invitations
from chat.models import Invitation, User

URL = "/admin/chat/invitation/"


@pytest.fixture
def office(admin: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(admin)


def test_a_new_one_shows_its_link(office: Client, admin: User, invite_only: None) -> None:
    form = office.get(f"{URL}add/").context["adminform"].form
    week = timezone.now() + timedelta(days=7)
    assert abs(form["expires_at"].value() - week) < timedelta(minutes=1)

    day, hour = f"{week:%Y-%m-%d}", f"{week:%H:%M:%S}"
    data = {"note": "For Grace", "expires_at_0": day, "expires_at_1": hour}
    page = office.post(f"{URL}add/", data, follow=True)
    made = Invitation.objects.get()
    assert made.created_by == admin
    assert page.redirect_chain[-1][0] == f"{URL}{made.pk}/change/"
    html = page.content.decode()
    assert f"http://testserver/accounts/signup/?invite={made.pk}%3A" in html
    assert "style=" not in html.partition('id="invitation_form"')[2].partition("</form>")[0]


def test_the_link_lets_somebody_in(office: Client, invitation: Invitation) -> None:
    html = office.get(f"{URL}{invitation.pk}/change/").content.decode()
    link = html.partition("http://testserver")[2].partition('"')[0]
    assert "Create your account" in Client().get(link).content.decode()


@pytest.mark.parametrize(("state", "shown"), [("used", "Used."), ("expired", "Expired.")])
def test_one_that_is_over_shows_none(
    office: Client, invitation: Invitation, admin: User, state: str, shown: str
) -> None:
    if state == "used":
        invitations.use(invitations.token(invitation), admin)
    else:
        Invitation.objects.update(expires_at=timezone.now())
    html = office.get(f"{URL}{invitation.pk}/change/").content.decode()
    assert shown in html
    assert "invite=" not in html


def test_the_page_says_when_invitations_are_not_asked_for(
    office: Client, invitation: Invitation, settings: LazySettings
) -> None:
    settings.SIGNUP = "closed"
    html = office.get(f"{URL}{invitation.pk}/change/").content.decode()
    assert "Works while SIGNUP is set to invite." in html


def test_the_list_tells_used_from_unused(
    office: Client, invitation: Invitation, admin: User
) -> None:
    soon = timezone.now() + timedelta(days=1)
    other = Invitation.objects.create(note="For Linus", created_by=admin, expires_at=soon)
    late = Invitation.objects.create(note="Late", created_by=admin, expires_at=timezone.now())
    invitations.use(invitations.token(other), admin)
    for state, found in (("open", invitation), ("used", other), ("expired", late)):
        page = office.get(URL, {"state": state})
        assert list(page.context["cl"].queryset) == [found]


def test_a_used_one_stays_as_it_is(office: Client, invitation: Invitation, admin: User) -> None:
    invitations.use(invitations.token(invitation), admin)
    assert office.get(f"{URL}{invitation.pk}/delete/").status_code == 403
    office.post(f"{URL}{invitation.pk}/change/", {"note": "Somebody else"})
    invitation.refresh_from_db()
    assert invitation.note == "For Grace"
