"""The streaming test's own stream: it really streams, from `manage.py serve` over a socket."""

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import websockets

from chat.operate.stream import PIECES, STEP_S
from tests.e2e.server import Prepared, Server, prepare
from tests.parts.nginx import Nginx

PATH = "/operate/status/stream"
SPAN_S = STEP_S * (PIECES - 1)

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"), 2)


@pytest.fixture(scope="module")
def server(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(prepared, tmp_path_factory.mktemp("server"), "http://127.0.0.1:9/v1")
    server.start()
    yield server
    server.stop()
    server.check_log()


@dataclass
class Streamed:
    headers: dict[str, str]
    pieces: list[dict[str, float]]
    arrived: list[float]

    @property
    def span_s(self) -> float:
        return self.arrived[-1] - self.arrived[0]


def stream(server: Server, port: int) -> Streamed:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", PATH, headers={"Cookie": server.administrator.cookie})
    answer = connection.getresponse()
    assert answer.status == 200
    pieces, arrived = [], []
    while line := answer.readline():
        if line.startswith(b"data: "):
            arrived.append(time.monotonic())
            pieces.append(json.loads(line.removeprefix(b"data: ")))
    connection.close()
    return Streamed({k.lower(): v for k, v in answer.getheaders()}, pieces, arrived)


def test_each_piece_is_on_the_wire_when_it_is_made(server: Server) -> None:
    streamed = stream(server, server.port)
    assert [piece["piece"] for piece in streamed.pieces] == list(range(1, PIECES + 1))
    assert streamed.span_s > SPAN_S / 2
    # What was sent apart arrives apart: no middleware gathers the pieces.
    gaps = [b - a for a, b in zip(streamed.arrived, streamed.arrived[1:], strict=False)]
    assert sum(gap > STEP_S / 2 for gap in gaps) > PIECES / 2
    sent = [piece["sent"] for piece in streamed.pieces]
    assert sent == sorted(sent)
    assert sent[-1] - sent[0] >= SPAN_S * 1000


def test_it_asks_to_be_passed_on_as_it_comes(server: Server) -> None:
    headers = stream(server, server.port).headers
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in headers
    assert "content-length" not in headers


def test_the_nginx_that_we_ship_passes_it_on(server: Server, tmp_path: Path) -> None:
    nginx = Nginx(tmp_path / "nginx", [server.port])
    nginx.start()
    try:
        assert stream(server, nginx.port).span_s > SPAN_S / 2
    finally:
        nginx.stop()


def test_who_leaves_in_the_middle_leaves_no_error(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", PATH, headers={"Cookie": server.administrator.cookie})
    assert connection.getresponse().readline().startswith(b"data: ")
    connection.close()
    time.sleep(SPAN_S)
    server.check_log()


async def test_the_echo_has_the_sockets_checks(server: Server) -> None:
    url = server.url.replace("http", "ws") + "/ws/echo/"
    cookie = {"Cookie": server.administrator.cookie}
    async with websockets.connect(url, origin=server.url, additional_headers=cookie) as socket:
        await socket.send("Anybody?")
        assert await socket.recv() == "Anybody?"
    for origin, headers in (("http://elsewhere.example", cookie), (server.url, {})):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url, origin=origin, additional_headers=headers)
        assert refused.value.response.status_code == 403
