"""What the shipped nginx configuration makes of a request."""

import asyncio
import json
import re
import subprocess
from collections.abc import Awaitable, Callable

import pytest

from tests.deployment.upstream import Received, Upstream, hang_up
from tests.parts.nginx import TEMPLATE, Nginx, compose_environment, fill_in
from tests.parts.programs import need
from tests.support import eventually
from tests.visitor import ask, ask_soon

Start = Callable[..., Nginx]

STREAMS = ("/ws/c/x/?after=1", f"/c/{'0' * 8}-0000-4000-8000-{'0' * 12}/events")


async def test_a_request_arrives_with_who_asked_and_how(nginx: Start) -> None:
    async with Upstream() as upstream:
        front = nginx([upstream.port])
        await ask_soon(front.url + "/c/", source="127.0.0.2")
    (request,) = upstream.requests
    assert request.headers["host"] == f"127.0.0.1:{front.port}"
    assert request.headers["x-forwarded-for"] == "127.0.0.2"
    assert request.headers["x-forwarded-proto"] == "http"
    assert re.fullmatch("[0-9a-f]{32}", request.headers["x-request-id"])


async def test_what_the_client_says_of_himself_stands_before_what_nginx_knows(
    nginx: Start,
) -> None:
    async with Upstream() as upstream:
        front = nginx([upstream.port])
        await ask_soon(
            front.url, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https", X_Request_ID="mine"
        )
    (request,) = upstream.requests
    # The application reads from the end.
    assert request.headers["x-forwarded-for"] == "203.0.113.9, 127.0.0.1"
    assert request.headers["x-forwarded-proto"] == "http"
    assert request.headers["x-request-id"] != "mine"


async def test_behind_another_proxy_with_tls_everything_is_https(nginx: Start) -> None:
    async with Upstream() as upstream:
        await ask_soon(nginx([upstream.port], PARLEY_SCHEME="https").url)
    assert upstream.requests[0].headers["x-forwarded-proto"] == "https"


async def test_the_metrics_are_not_for_those_who_come_this_way(nginx: Start) -> None:
    async with Upstream() as upstream:
        front = nginx([upstream.port])
        for path in ("/metrics", "//metrics", "/%6detrics", "/x/../metrics", "/metrics?x=1"):
            assert (await ask_soon(front.url + path)).status == 404
    assert not upstream.requests


async def test_connections_to_the_web_process_are_kept(nginx: Start) -> None:
    async with Upstream() as upstream:
        front = nginx([upstream.port])
        for _ in range(5):
            await ask_soon(front.url)
    assert len(upstream.requests) == 5
    assert upstream.connections == 1
    assert "connection" not in upstream.requests[0].headers


@pytest.mark.parametrize("protocol", ["h2c", "WebSocket"])
async def test_only_a_websocket_may_change_the_protocol(nginx: Start, protocol: str) -> None:
    async with Upstream() as upstream:
        front = nginx([upstream.port])
        await ask_soon(front.url + "/ws/c/x/", Upgrade=protocol, Connection="upgrade")
    headers = upstream.requests[0].headers
    assert (headers.get("upgrade"), headers.get("connection")) == (
        ("websocket", "upgrade") if protocol == "WebSocket" else (None, None)
    )


async def test_a_post_is_sent_once_even_if_it_gets_no_answer(nginx: Start) -> None:
    async with Upstream(hang_up) as first, Upstream(hang_up) as second:
        front = nginx([first.port, second.port])
        answer = await ask_soon(front.url + "/c/x/messages", "POST", b"text=Hello")
    assert answer.status == 502
    assert [r.body for r in first.requests + second.requests] == [b"text=Hello"]


async def test_a_get_without_an_answer_is_sent_to_another_process(nginx: Start) -> None:
    async with Upstream(hang_up) as broken, Upstream() as well:
        front = nginx([broken.port, well.port])
        answers = [await ask_soon(front.url) for _ in range(4)]
    assert {answer.status for answer in answers} == {200}
    assert broken.requests


async def test_a_process_that_is_not_there_costs_nobody_a_request(nginx: Start) -> None:
    async with Upstream() as gone:
        port = gone.port
    async with Upstream() as well:
        front = nginx([port, well.port])
        posts = [await ask_soon(front.url, "POST", b"x") for _ in range(4)]
    assert {answer.status for answer in posts} == {200}
    assert len(well.requests) == 4


async def test_a_process_that_is_back_is_found_soon(nginx: Start) -> None:
    """Both were away: nginx must not refuse for longer than a page waits between two tries."""
    async with Upstream() as first, Upstream() as second:
        front = nginx([first.port, second.port])
    assert [(await ask_soon(front.url)).status for _ in range(3)] == [502] * 3

    async def answers() -> bool:
        return (await ask_soon(front.url)).status == 200

    async with Upstream(port=first.port):
        await eventually(answers, within=5)


def _half(then: asyncio.Event, *, buffering: str = "") -> Callable[..., Awaitable[None]]:
    """Answers one half, and the other one when it may."""

    async def answer(request: Received, writer: asyncio.StreamWriter) -> None:
        extra = f"X-Accel-Buffering: {buffering}\r\n" if buffering else ""
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n{extra}\r\nfirst".encode())
        await writer.drain()
        await then.wait()
        writer.write(b"-last")

    return answer


async def _first_half(front: Nginx, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    try:
        async with asyncio.timeout(10):
            await reader.readuntil(b"\r\n\r\n")
            return await reader.readexactly(5)
    finally:
        writer.close()


@pytest.mark.parametrize("path", [*STREAMS, "/v1/chat/completions"])
async def test_a_stream_waits_in_no_buffer(nginx: Start, path: str) -> None:
    last = asyncio.Event()
    async with Upstream(_half(last)) as upstream:
        assert await _first_half(nginx([upstream.port]), path) == b"first"
        last.set()


async def test_any_answer_may_ask_not_to_be_buffered(nginx: Start) -> None:
    last = asyncio.Event()
    async with Upstream(_half(last, buffering="no")) as upstream:
        assert await _first_half(nginx([upstream.port]), "/elsewhere") == b"first"
        last.set()


async def test_the_log_has_no_query_and_no_secret_path(nginx: Start) -> None:
    async with Upstream() as upstream:
        front = nginx([upstream.port])
        await ask_soon(front.url + "/ws/c/x/?after=1&new=TICKET")
        await ask_soon(front.url + "/setup/TOKEN/", Referer="http://x/?TICKET")
        await ask_soon(front.url + "/accounts/password/reset/key/1-TOKEN/")
        front.stop()
    lines = [json.loads(line) for line in front.access_log.read_text().splitlines()]
    assert [line["path"] for line in lines] == [
        "/ws/c/x/",
        "/setup/…",
        "/accounts/password/reset/key/…",
    ]
    assert lines[0]["request_id"] == upstream.requests[0].headers["x-request-id"]
    assert lines[0]["upstream"] == f"127.0.0.1:{upstream.port}"
    assert not re.search("TICKET|TOKEN", front.access_log.read_text())


async def test_nothing_is_told_of_the_version(nginx: Start) -> None:
    async with Upstream() as upstream:
        answer = await ask_soon(nginx([upstream.port]).url)
    assert answer.headers["Server"] == "nginx"


async def test_a_body_over_the_limit_is_refused(nginx: Start) -> None:
    async with Upstream() as upstream:
        front = nginx([upstream.port])
        body = bytes(3 * 1024 * 1024 + 1)
        answer = await asyncio.to_thread(ask, front.url, "POST", body, Expect="100-continue")
    assert answer.status == 413
    assert not upstream.requests


def test_the_template_is_filled_in_as_the_image_does_it() -> None:
    """By envsubst, which is told what to replace: nginx's own variables must stay."""
    given = compose_environment()
    names = " ".join(f"${{{name}}}" for name in given)
    result = subprocess.run(
        [need("gettext-base", "envsubst"), names],
        input=TEMPLATE.read_text(),
        env=given,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == fill_in(TEMPLATE.read_text(), given)
    assert "${" not in result.stdout
    assert "$http_host" in result.stdout


def test_quiet_streams_are_kept_for_an_hour() -> None:
    """The times that no test can wait for."""
    text = re.sub("#.*", "", TEMPLATE.read_text())
    locations = re.findall(r"location ([^{]*\S) \{([^}]*)\}", text.replace("{36}", "[36]"))
    (stream,) = [body for path, body in locations if "ws" in path]
    directives = dict(
        line.strip(" ;").split(" ", 1) for line in stream.splitlines() if line.strip()
    )
    assert directives["proxy_read_timeout"] == directives["proxy_send_timeout"] == "1h"
    assert directives["proxy_buffering"] == directives["gzip"] == "off"
    # Parley itself ends an idle connection after 60 s.
    assert "keepalive_timeout 30s;" in text
    assert "non_idempotent" not in text
