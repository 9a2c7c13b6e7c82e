"""Every URL of the administration, as every role: taken from the site, so none is forgotten.

Who is not staff is sent away; staff see what they have been given a permission for; nobody,
whatever he has been given, reads a transcript without an entry in the access log.
"""

import re
import uuid
from urllib.parse import quote

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.http import HttpResponseBase
from django.utils import timezone

from chat.models import (
    AccessEntry,
    Conversation,
    Generation,
    Invitation,
    Message,
    ModerationRule,
    PolicyRule,
    Receipt,
    ToolServer,
    Verdict,
)
from tests.roles.cast import ROLES, SECRET, World, make_world
from tests.roles.test_every_url import answer, is_let_in, routes

STAFF = frozenset({"staff", "auditor", "operator", "superuser"})
READERS = frozenset({"auditor", "superuser"})
# Pages about the site itself: nothing of anybody's is on them.
FOR_ALL_STAFF = ("", "password_change/", "password_change/done/", "jsi18n/")
RECORDS = {
    model._meta.model_name for model in (Conversation, Message, Generation, Verdict, Receipt)
}
ADMIN = [route.removeprefix("admin/") for route in routes() if route.startswith("admin/")]
CUSTODY = {"accessentry", "legalhold", "tombstone"}
ADMIN = [route for route in ADMIN if route not in ("login/", "logout/")]


@pytest.fixture
def world(db: None) -> World:
    PolicyRule.objects.create(direction="input", action="flag")
    ModerationRule.objects.create(name="Rule", kind="term", pattern="x", category="y")
    ToolServer.objects.create(name="tools", transport="http", url="http://127.0.0.1:1/")
    found = make_world()
    owner = found.conversation.owner
    EmailAddress.objects.create(user=owner, email=owner.email)
    Invitation.objects.create(created_by=owner, expires_at=timezone.now())
    return found


def is_closed(response: HttpResponseBase, path: str) -> bool:
    """Django sends from an old address to the one of today, which is closed."""
    return not is_let_in(response) or response.headers.get("Location") == f"{path}change/"


def path_of(route: str, world: World) -> str:
    """The address of something that is there, wherever there is something."""
    path = re.sub(r"^\^\(\?P<app_label>.*", "chat/", route).replace("(?P<url>.*)$", "nothing/")
    app, _, rest = path.partition("/")
    if "<path:object_id>" in rest and app in ("auth", "account", "chat"):
        row = apps.get_model(app, rest.partition("/")[0])._base_manager.order_by("pk").first()
        path = path.replace("<path:object_id>", quote(str(row.pk if row else 1)))
    path = path.replace("<path:content_type_id>/<path:object_id>", f"1/{world.conversation.pk}")
    path = path.replace("<id>", str(world.conversation.owner_id))
    assert "<" not in path, path
    return f"/admin/{path}"


def of_model(route: str) -> str:
    return "/".join(route.split("/")[:2]) if "/" in route else route


MODELS = sorted({of_model(route) for route in ADMIN})


def routes_of(model: str) -> list[str]:
    return [route for route in ADMIN if of_model(route) == model]


@pytest.mark.parametrize("model", MODELS)
def test_nobody_but_who_may(model: str, world: World) -> None:
    for route in routes_of(model):
        path = path_of(route, world)
        if "autocomplete" in route:
            path += "?app_label=chat&model_name=message&field_name=conversation&term=heron"
        for role in ROLES:
            for method in ("HEAD", "GET", "POST", "PUT"):
                response, body = answer(world.clients[role], method, path)
                where = f"{method} {path} {role}: {response.status_code}"
                assert response.status_code < 500, where
                if role not in READERS and (role not in STAFF or route not in FOR_ALL_STAFF):
                    assert is_closed(response, path), where
                if role not in READERS:
                    assert SECRET.encode() not in body, where
                    assert SECRET not in str(response.headers), where


@pytest.mark.parametrize("role", sorted(READERS))
@pytest.mark.parametrize("record", sorted(RECORDS))
def test_who_reads_a_transcript_is_on_record(record: str, role: str, world: World) -> None:
    """However: a list, a search, a page, in a pop-up, for a form."""
    mine = AccessEntry.objects.filter(actor_name=role)
    for route in routes_of(f"chat/{record}"):
        path = path_of(route, world)
        for query in ("", "?q=heron", "?_popup=1", "?_to_field=id", "?_changelist_filters=q%3Dx"):
            for method in ("HEAD", "GET"):
                before = mine.count()
                response, body = answer(world.clients[role], method, path + query)
                if response.status_code == 200:
                    assert mine.count() == before + 1, f"{method} {path}{query}"
                else:
                    assert SECRET.encode() not in body, f"{method} {path}{query}"


@pytest.mark.parametrize("name", sorted(RECORDS | CUSTODY))
def test_staff_without_permission_do_not_learn_what_is_there(name: str, world: World) -> None:
    """Of other things Django's own history page looks for them before it looks at who asks."""
    model = apps.get_model("chat", name)
    pk = str(model._base_manager.order_by("pk").values_list("pk", flat=True)[0])
    nothing = str(uuid.uuid4()) if "-" in pk else "999999"
    for route in routes_of(f"chat/{name}"):
        path = path_of(route, world)
        other = f"/{nothing}".join(path.rsplit(f"/{pk}", 1))
        for method in ("HEAD", "GET", "POST"):
            one, body = answer(world.clients["staff"], method, path)
            two, same = answer(world.clients["staff"], method, other)
            assert (one.status_code, body) == (two.status_code, same), f"{method} {path}"
