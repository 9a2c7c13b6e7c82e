"""Every URL of the site, as every role and with every method (I7); no page without a row.

Who is not let in is told to sign in, or that there is nothing here; the answer is the same whether
or not the thing exists, and no byte of it is in it.
"""

import uuid
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from chat.models import Conversation, Message
from tests.roles.cast import OUTSIDE, ROLES, SECRET, World, make_world

SIGNED_IN = frozenset(ROLES) - set(OUTSIDE)
EVERYBODY = frozenset(ROLES)
OWNER = frozenset({"owner"})
OWNERS = OWNER | {"own reviewer"}
REVIEWERS = frozenset({"reviewer", "reading reviewer", "group reviewer", "own reviewer", "holder"})
READERS = REVIEWERS - {"reviewer"}  # the others are asked for a purpose
EXPORTERS = frozenset({"group reviewer"})
HOLDERS = frozenset({"holder"})
OPERATORS = frozenset({"operator", "superuser"})
KEYS = frozenset({"api key"})
NOBODY: frozenset[str] = frozenset()

C, M, A, R = (
    "c/<uuid:conversation_id>/",
    "c/<uuid:conversation_id>/messages/<int:message_id>/",
    "assistants/<int:assistant_id>/",
    "review/<uuid:conversation_id>/",
)
RM = R + "messages/<int:message_id>/"

# Route: who is let in, and who may find Ada's secret in the answer.
ROWS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "": (SIGNED_IN, OWNERS),  # the sidebar has titles
    C: (OWNERS, OWNERS),
    C + "messages": (OWNERS, OWNERS),
    C + "events": (OWNERS | set(OUTSIDE), OWNERS),  # who is to sign in is told so in the stream
    C + "stop": (OWNERS, OWNERS),
    C + "rename": (OWNERS, OWNERS),
    C + "delete": (OWNERS, OWNERS),
    C + "settings": (OWNERS, OWNERS),
    C + "export.json": (OWNERS, OWNERS),
    C + "export.md": (OWNERS, OWNERS),
    "ws/" + C: (EVERYBODY, NOBODY),  # sends on to the page, whatever it is
    M + "edit": (OWNERS, OWNERS),
    M + "regenerate": (OWNERS, OWNERS),
    M + "continue": (OWNERS, OWNERS),
    M + "calls/<int:number>/<str:decision>": (OWNERS, OWNERS),
    M + "answer.json": (NOBODY, NOBODY),  # the reply is not in a form
    M + "perceived": (OWNERS, OWNERS),
    M + "feedback/<str:opinion>": (OWNERS, OWNERS),
    M + "report": (OWNERS, OWNERS),
    M + "show": (OWNERS, OWNERS),
    "assistants/": (SIGNED_IN, OWNER),
    "assistants/new/": (SIGNED_IN, OWNERS),
    A: (OWNER, OWNER),
    A + "edit/": (OWNER, OWNER),
    A + "archive/": (OWNER, OWNER),
    A + "versions/<int:number>/": (OWNER, OWNER),
    "accounts/api-keys/": (SIGNED_IN, OWNERS),
    "accounts/api-keys/<int:key_id>/revoke/": (OWNER, OWNER),
    "accounts/data/": (SIGNED_IN, OWNERS),
    "accounts/data/download": (SIGNED_IN, OWNERS),
    "accounts/preferences/": (SIGNED_IN, OWNERS),
    "accounts/login/": (EVERYBODY, NOBODY),
    "accounts/logout/": (EVERYBODY, NOBODY),
    "accounts/signup/": (EVERYBODY, NOBODY),
    "accounts/inactive/": (EVERYBODY, NOBODY),
    "accounts/reauthenticate/": (SIGNED_IN, OWNERS),
    "accounts/password/change/": (SIGNED_IN, OWNERS),
    "accounts/password/set/": (SIGNED_IN, OWNERS),
    "accounts/password/reset/": (EVERYBODY, NOBODY),
    "accounts/password/reset/done/": (EVERYBODY, NOBODY),
    "accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": (EVERYBODY, NOBODY),
    "v1/chat/completions": (KEYS, NOBODY),
    "v1/models": (KEYS, NOBODY),
    "v1/models/<path:name>": (NOBODY, NOBODY),  # of a model that there is none of
    "^v1(?:/.*)?$": (NOBODY, NOBODY),
    "setup/<str:token>/": (NOBODY, NOBODY),
    "review/": (REVIEWERS, REVIEWERS),
    "review/next": (REVIEWERS, NOBODY),
    "review/export/": (EXPORTERS, EXPORTERS),
    "review/holds/": (HOLDERS, HOLDERS),
    "review/holds/<int:hold_id>/release": (HOLDERS, HOLDERS),
    R: (REVIEWERS, READERS),
    R + "purpose": (REVIEWERS, READERS),
    R + "news": (REVIEWERS, READERS),
    R + "identity": (REVIEWERS, NOBODY),  # back to the page: reviewing is not anonymous here
    RM + "assign": (REVIEWERS, READERS),
    RM + "decide": (REVIEWERS, READERS),
    RM + "answer": (REVIEWERS, READERS),
    RM + "timeline.json": (REVIEWERS, READERS),
    "operate/status/": (OPERATORS, NOBODY),
    "operate/status/stream": (OPERATORS, NOBODY),
    "operate/metrics/": (OPERATORS, NOBODY),
    "operate/metrics/usage.csv": (OPERATORS, NOBODY),
    "healthz": (EVERYBODY, NOBODY),
    "readyz": (EVERYBODY, NOBODY),
    "metrics": (NOBODY, NOBODY),  # from an address that is not trusted
}
METHODS = ("OPTIONS", "HEAD", "GET", "POST", "PUT", "DELETE")
OTHERS = {"number": 0, "decision": "approved", "opinion": "good", "token": "x", "name": "none"}
PATHS = {
    "accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": (
        "accounts/password/reset/key/1-x/"
    ),
    "^v1(?:/.*)?$": "v1/nothing",
}
REFUSED = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


def routes(patterns: Any = None, before: str = "") -> Iterator[str]:
    for pattern in patterns or get_resolver().url_patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, before + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield before + str(pattern.pattern)


def test_every_url_has_a_row() -> None:
    assert {route for route in routes() if not route.startswith("admin/")} == set(ROWS)


def path_of(route: str, names: dict[str, object]) -> str:
    path = "/" + PATHS.get(route, route)
    for name, value in {**OTHERS, **names}.items():
        for kind in ("uuid", "int", "str", "path"):
            path = path.replace(f"<{kind}:{name}>", str(value))
    assert "<" not in path, path
    return path.replace("versions/0/", "versions/1/")


def answer(client: Client, method: str, path: str) -> tuple[HttpResponseBase, bytes]:
    """What is answered, and its body. What is made while it is sent has tests of its own."""
    response = client.generic(method, path, REMOTE_ADDR="203.0.113.9")
    return response, b"" if response.streaming else response.content


def is_let_in(response: HttpResponseBase) -> bool:
    to = response.headers.get("Location", "")
    return response.status_code not in (*REFUSED, 401, 403) and "/login/?next=" not in to


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.mark.parametrize("route", ROWS)
def test_who_is_let_in_and_who_reads(route: str, world: World) -> None:
    let_in, reads = ROWS[route]
    # The owners last: what they do is done.
    for role in sorted(ROLES, key=lambda role: (role in reads, role in let_in)):
        path = path_of(route, world.names[role])
        for method in METHODS:
            response, body = answer(world.clients[role], method, path)
            where = f"{method} {role}: {response.status_code} {response.headers.get('Location')}"
            assert response.status_code < 500, where
            if role not in let_in:
                assert not is_let_in(response), where
            elif response.status_code not in REFUSED:  # of a method that is not for it
                assert is_let_in(response) or route.startswith("accounts/"), where
            if role not in reads:
                assert SECRET.encode() not in body, where
                assert SECRET not in str(response.headers), where
    if not OWNERS & let_in:
        assert Conversation.objects.filter(pk=world.conversation.pk, deleted_at=None).exists()


def nowhere(names: dict[str, object]) -> dict[str, object]:
    """The names of nothing."""
    return {
        name: uuid.uuid4() if isinstance(value, uuid.UUID) else 999_999
        for name, value in names.items()
    }


@pytest.mark.parametrize("route", [route for route in ROWS if "<" in route])
def test_who_is_not_let_in_does_not_learn_whether_it_is_there(route: str, world: World) -> None:
    let_in, _ = ROWS[route]
    for role in [role for role in ROLES if role not in let_in]:
        there = path_of(route, world.names[role])
        nothing = path_of(route, nowhere(world.names[role]))
        for method in METHODS:
            one, body = answer(world.clients[role], method, there)
            other, same = answer(world.clients[role], method, nothing)
            where = f"{method} {role}: {one.status_code} {other.status_code}"
            assert one.status_code == other.status_code, where
            assert body.replace(there.encode(), b"") == same.replace(nothing.encode(), b""), where


@pytest.mark.parametrize("route", [route for route in ROWS if "<uuid:" in route])
def test_a_strangers_post_changes_nothing(route: str, world: World) -> None:
    """With all the fields that its owner's would have."""
    fields = {
        "text": "Mine now",
        "key": "another-key",
        "title": "Mine now",
        "kind": "dismiss",
        "seen": 0,
        "complaint": "other",
        "reason": "queue",
        "ms": 5,
    }
    before = list(Message.objects.values()), list(Conversation.objects.values())
    for role in SIGNED_IN - ROWS[route][0]:
        world.clients[role].post(path_of(route, world.names[role]), fields)
    assert (list(Message.objects.values()), list(Conversation.objects.values())) == before
