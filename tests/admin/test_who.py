"""Who gets in: staff with Django's view permission, through allauth's sign-in page."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from chat.models import User
from tests.admin.conftest import RECORDS, Story
from tests.admin.pages import html_of, list_url, page_url


@pytest.mark.django_db
def test_a_stranger_is_sent_to_the_sign_in_page_and_back(client: Client) -> None:
    url = list_url("conversation")
    response = client.get(url, follow=True)
    assert response.redirect_chain[-1][0] == f"/accounts/login/?next={url.replace('/', '%2F')}"


@pytest.mark.django_db
def test_the_admins_own_form_signs_nobody_in(client: Client, admin: User) -> None:
    sent = {"username": "root", "password": "correct horse battery"}
    response = client.post(reverse("admin:login"), sent)
    assert response.headers["Location"].startswith("/accounts/login/")
    assert "_auth_user_id" not in client.session


def test_a_member_is_refused_whether_or_not_the_record_exists(
    sign_in: Callable[[User], Client], story: Story
) -> None:
    client = sign_in(story.conversation.owner)
    for url in (page_url(story.conversation), list_url("conversation")):
        assert client.get(url, follow=True).status_code == 403


def test_staff_without_permission_sees_nothing(
    staff_with: Callable[..., Client], story: Story
) -> None:
    client = staff_with()
    for model in RECORDS:
        assert client.get(list_url(model)).status_code == 403
    assert client.get(page_url(story.conversation)).status_code == 403
    assert "Conversations" not in html_of(client.get(reverse("admin:index")))


def test_permission_to_view_one_kind_of_record_opens_that_kind_only(
    staff_with: Callable[..., Client], story: Story
) -> None:
    client = staff_with("view_conversation")
    html_of(client.get(page_url(story.conversation)))
    assert client.get(list_url("message")).status_code == 403
    assert client.get(list_url("user")).status_code == 403


def test_a_record_that_is_not_there_is_said_to_be_missing(root: Client) -> None:
    url = reverse("admin:chat_conversation_change", args=["0b6d8b7e-0000-4000-8000-000000000000"])
    response = root.get(url, follow=True)
    assert "Perhaps it was deleted" in html_of(response)
