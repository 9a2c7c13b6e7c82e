"""Users are added and edited in the admin, and never deleted."""

from collections.abc import Callable

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from chat.models import User
from chat.review import who
from tests.admin.pages import Elements, html_of, list_url, page_url


def form_of(html: str) -> dict[str, str]:
    """What a browser would send of the page's fields, were nothing typed."""
    page = Elements(html)
    fields = {}
    for field in page.all("input"):
        name, kind = field.get("name"), field.get("type")
        if name and (kind not in ("checkbox", "radio", "submit") or "checked" in field):
            fields[name] = field.get("value") or ""
    return fields


def test_a_user_is_added(root: Client) -> None:
    url = reverse("admin:chat_user_add")
    password = "quiet heron 17"
    sent = {
        "username": "grace",
        "email": "grace@example.org",
        "usable_password": "true",
        "password1": password,
        "password2": password,
    }
    root.post(url, sent)
    grace = User.objects.get(username="grace")
    assert grace.email == "grace@example.org"
    assert grace.check_password(password)


def test_a_user_is_edited_and_deactivated(root: Client, ada: User) -> None:
    fields = form_of(html_of(root.get(page_url(ada))))
    assert fields.pop("is_active") is not None
    assert root.post(page_url(ada), {**fields, "first_name": "Ada"}).status_code == 302
    ada.refresh_from_db()
    assert (ada.first_name, ada.is_active) == ("Ada", False)


def test_nobody_is_deleted(root: Client, ada: User) -> None:
    assert root.post(reverse("admin:chat_user_delete", args=[ada.pk])).status_code == 403
    sent = {"action": "delete_selected", "_selected_action": ada.pk, "post": "yes"}
    root.post(list_url("user"), sent)
    assert User.objects.filter(pk=ada.pk).exists()
    assert "delete_selected" not in html_of(root.get(list_url("user")))


def test_a_users_page_leads_to_the_conversations(root: Client, ada: User) -> None:
    links = [link.get("href") for link in Elements(html_of(root.get(page_url(ada)))).all("a")]
    assert f"{list_url('conversation')}?user=ada" in links


def test_staff_who_edit_people_cannot_give_themselves_more(
    staff_with: Callable[..., Client], admin: User
) -> None:
    client = staff_with("change_user", "view_user", "add_user")
    me = User.objects.get(username="staff")
    fields = form_of(html_of(client.get(page_url(me))))
    everything = Permission.objects.values_list("pk", flat=True)
    sent = {**fields, "is_superuser": "on", "user_permissions": list(everything)}
    client.post(page_url(me), sent)
    me.refresh_from_db()
    assert not me.is_superuser
    assert me.user_permissions.count() == 3


def test_staff_who_edit_people_cannot_take_over_a_superuser(
    staff_with: Callable[..., Client], admin: User
) -> None:
    client = staff_with("change_user", "view_user")
    html_of(client.get(page_url(admin)))  # reading is fine
    assert client.post(page_url(admin), {"username": "x"}).status_code == 403
    password = reverse("admin:auth_user_password_change", args=[admin.pk])
    assert client.post(password, {}).status_code == 403
    assert client.get(password).status_code == 403


def test_staff_who_edit_people_cannot_take_over_a_reviewer(
    staff_with: Callable[..., Client], ada: User
) -> None:
    client = staff_with("change_user", "view_user")
    html_of(client.get(reverse("admin:auth_user_password_change", args=[ada.pk])))
    ada.groups.add(Group.objects.get(name=who.GROUP))
    assert client.post(page_url(ada), {"username": "x"}).status_code == 403
    password = reverse("admin:auth_user_password_change", args=[ada.pk])
    assert client.post(password, {"password1": "x", "password2": "x"}).status_code == 403


def test_staff_who_edit_groups_or_addresses_cannot_make_themselves_reviewers(
    staff_with: Callable[..., Client], admin: User
) -> None:
    """By giving a group of theirs the permission, or by a new password sent to their address."""
    names = [f"{verb}_{of}" for verb in ("add", "change", "delete", "view")
             for of in ("group", "emailaddress")]  # fmt: skip
    client = staff_with(*names)
    mine = Group.objects.create(name="Mine")
    User.objects.get(username="staff").groups.add(mine)
    permission = Permission.objects.get(codename=who.REVIEW)
    sent = {"name": "Mine", "permissions": [permission.pk]}
    group = reverse("admin:auth_group_change", args=[mine.pk])
    html_of(client.get(group))  # reading is fine
    assert client.post(group, sent).status_code == 403
    assert client.post(reverse("admin:auth_group_add"), sent).status_code == 403
    sent = {"user": admin.pk, "email": "mine@example.org", "verified": "on", "primary": "on"}
    assert client.post(reverse("admin:account_emailaddress_add"), sent).status_code == 403
    assert not mine.permissions.exists()
    assert not EmailAddress.objects.filter(email="mine@example.org").exists()


def test_a_superuser_edits_groups(root: Client) -> None:
    permission = Permission.objects.get(codename=who.REVIEW)
    sent = {"name": "Panel", "permissions": [permission.pk]}
    root.post(reverse("admin:auth_group_add"), sent)
    assert Group.objects.get(name="Panel").permissions.get() == permission
