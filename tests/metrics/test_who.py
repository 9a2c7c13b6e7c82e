"""Who may read ``/metrics``: a token, or an address, seen through proxies or not."""

import re
from ipaddress import ip_network

import pytest
from asgiref.testing import ApplicationCommunicator
from django.conf import LazySettings
from django.core.handlers.asgi import ASGIHandler
from django.test import Client

from chat.models import User
from chatsite.proxies import TrustedProxies

TOKEN = "a-long-secret-token"


async def _status(trusted: list[str], peer: str, headers: dict[str, str]) -> int:
    """Through the whole application, proxies in front."""
    app = TrustedProxies(ASGIHandler(), [ip_network(one) for one in trusted])
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/metrics",
        "query_string": b"",
        "scheme": "http",
        "server": ("127.0.0.1", 8000),
        "client": (peer, 4711) if peer else None,
        "headers": [
            (name.lower().encode(), value.encode())
            for name, value in {"Host": "localhost", **headers}.items()
        ],
    }
    communicator = ApplicationCommunicator(app, scope)
    await communicator.send_input({"type": "http.request", "body": b""})
    start = await communicator.receive_output(10)
    await communicator.receive_output(10)
    await communicator.wait(10)
    status: int = start["status"]
    return status


NEAR: list[tuple[str, list[str], str, dict[str, str], bool]] = [
    ("loopback", [], "127.0.0.1", {}, True),
    ("loopback, IPv6", [], "::1", {}, True),
    ("loopback, mapped", [], "::ffff:127.0.0.1", {}, True),
    ("outsider", [], "203.0.113.9", {}, False),
    ("no address", [], "", {}, False),
    ("named network", [], "10.1.2.3", {}, True),
    ("outsider who says that he is near", [], "203.0.113.9", {"X-Forwarded-For": "::1"}, False),
    ("a proxy here, untrusted", [], "127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, False),
    ("the same, spoofed", [], "127.0.0.1", {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}, False),
    ("one that says it otherwise", [], "127.0.0.1", {"X-Real-IP": "203.0.113.9"}, False),
    ("one that only says Via", [], "127.0.0.1", {"Via": "1.1 proxy"}, False),
    ("trusted, outsider", ["127.0.0.1"], "127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, False),
    (
        "trusted, spoofed",
        ["127.0.0.1"],
        "127.0.0.1",
        {"X-Forwarded-For": "::1, 203.0.113.9"},
        False,
    ),
    ("trusted, near", ["127.0.0.1"], "127.0.0.1", {"X-Forwarded-For": "10.1.2.3"}, True),
    ("trusted, for itself", ["127.0.0.1"], "127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, False),
    ("trusted, not saying for whom", ["127.0.0.1"], "127.0.0.1", {"Via": "1.1 proxy"}, False),
    ("trusted, and no proxy at all", ["127.0.0.1"], "127.0.0.1", {}, True),
    ("trusted, saying nothing", ["127.0.0.1"], "127.0.0.1", {"Host": "chat.example"}, False),
    ("only the scheme", ["127.0.0.1"], "127.0.0.1", {"X-Forwarded-Proto": "https"}, False),
    ("only a port", [], "127.0.0.1", {"X-Forwarded-Port": "443"}, False),
    ("another's header", [], "127.0.0.1", {"CF-Connecting-IP": "203.0.113.9"}, False),
    ("another is trusted", ["10.9.9.9"], "127.0.0.1", {"X-Forwarded-For": "10.1.2.3"}, False),
]


@pytest.mark.parametrize(
    ("trusted", "peer", "headers", "may"), [row[1:] for row in NEAR], ids=[row[0] for row in NEAR]
)
@pytest.mark.django_db(transaction=True)
async def test_by_address(
    settings: LazySettings, trusted: list[str], peer: str, headers: dict[str, str], may: bool
) -> None:
    settings.METRICS_ADDRESSES = [ip_network(n) for n in ("127.0.0.0/8", "::1", "10.1.0.0/16")]
    settings.TRUSTED_PROXIES = [ip_network(one) for one in trusted]
    settings.ALLOWED_HOSTS = ["*"]
    assert await _status(trusted, peer, headers) == (200 if may else 404)


@pytest.mark.parametrize(
    ("token", "given", "may"),
    [
        (TOKEN, f"Bearer {TOKEN}", True),
        (TOKEN, f"bearer {TOKEN}", True),
        (TOKEN, f"Bearer {TOKEN}x", False),
        (TOKEN, f"Bearer {TOKEN[:-1]}", False),
        (TOKEN, f"Basic {TOKEN}", False),
        (TOKEN, TOKEN, False),
        (TOKEN, "Bearer", False),
        (TOKEN, "Bearer ümläut", False),
        ("", "Bearer ", False),
        ("", "Bearer", False),
    ],
)
@pytest.mark.django_db
def test_by_token(settings: LazySettings, token: str, given: str, may: bool) -> None:
    settings.METRICS_TOKEN, settings.METRICS_ADDRESSES = token, []
    client = Client(REMOTE_ADDR="203.0.113.9")
    answer = client.get("/metrics", headers={"Authorization": given})
    assert answer.status_code == (200 if may else 404)


def test_being_signed_in_helps_nobody(admin: User, settings: LazySettings) -> None:
    settings.METRICS_ADDRESSES = []
    client = Client()
    client.force_login(admin)
    answer = client.get("/metrics")
    assert answer.status_code == 404
    assert answer.content == client.get("/nothing-here").content


@pytest.mark.django_db
def test_it_is_read_only_and_not_kept(settings: LazySettings) -> None:
    assert Client().post("/metrics").status_code == 405
    assert Client(REMOTE_ADDR="203.0.113.9").post("/metrics").status_code == 404
    assert "no-store" in Client().get("/metrics")["Cache-Control"]


def test_it_is_not_sent_to_https(settings: LazySettings) -> None:
    """Prometheus asks the process itself, which speaks plain HTTP."""
    assert any(re.search(pattern, "metrics") for pattern in settings.SECURE_REDIRECT_EXEMPT)
