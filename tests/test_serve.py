"""`manage.py serve` as a process: how it starts, what it says, how it ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import CANARY_KEY, ROOT, Prepared, Server, prepare
from tests.fake_provider import FakeProvider, Finish, Gate, Script, Status, Text, reply
from tests.parts.process import free_port
from tests.visitor import Visitor, close_code, until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("prepared"), 3)


@pytest.fixture
def server(prepared: Prepared, provider: FakeProvider, tmp_path: Path) -> Iterator[Server]:
    server = Server(prepared, tmp_path / "server", provider.base_url)
    server.start()
    yield server
    if server.is_running:
        server.stop()


def visitor_of(server: Server) -> Visitor:
    return Visitor(server.url, server.administrator)


async def test_a_reply_streams_over_the_wire_and_is_on_record(
    server: Server, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("First"), Gate("rest"), Text(" and last."), Finish()))
    visitor = visitor_of(server)
    async with visitor.watching() as connection:
        await visitor.send("Hello?")
        await until(connection, "First")
        provider.open("rest")
        await until(connection, 'data-state="complete"')
    asked, answer = await visitor.messages()
    assert (asked["text"], answer["text"]) == ("Hello?", "First and last.")
    assert answer["verdict"] == "passed"


async def test_a_socket_that_was_just_opened_does_not_spoil_the_end(server: Server) -> None:
    visitor = visitor_of(server)
    async with visitor.watching() as connection:
        await asyncio.to_thread(server.stop)
        assert await close_code(connection) == 1012


async def test_a_second_signal_cuts_the_wait_for_running_replies_short(
    server: Server, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Text("Half"), Gate("never"), Finish()))
    visitor = visitor_of(server)
    async with visitor.watching() as connection:
        await visitor.send("Hello?")
        await until(connection, "Half")
        server.send(signal.SIGINT)
        assert await close_code(connection) == 1012
    server.send(signal.SIGINT)
    await asyncio.to_thread(server.stop)
    server.start()
    answer = await visitor.reply()
    assert (answer["state"], answer["text"]) == ("interrupted", "Half")
    assert answer["stop_reason"] == "drained"


async def test_the_log_is_json_and_tells_no_secrets(server: Server, provider: FakeProvider) -> None:
    provider.enqueue(reply("the-answer-canary"))
    provider.enqueue(Script(Status(401, body={"error": {"message": f"bad key {CANARY_KEY}"}})))
    for _ in range(2):
        await visitor_of(server).send("the-question-canary")
    await asyncio.to_thread(server.wait_quiet)
    server.stop()
    events = server.events()
    assert {"serving", "generation_started", "generation_ended", "stopped"} <= {
        event["event"] for event in events
    }
    assert all({"event", "level", "timestamp", "logger"} <= event.keys() for event in events)
    everything = json.dumps(events)
    for canary in ("the-answer-canary", "the-question-canary", CANARY_KEY, "canary"):
        assert canary not in everything


def serve(home: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "serve", *arguments],
        cwd=ROOT,
        env={**os.environ, "VAR_DIR": str(home), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_first_start_prints_where_it_is_and_a_link_for_the_administrator(
    prepared: Prepared, tmp_path: Path
) -> None:
    environment = {"STATIC_ROOT": str(prepared.static)}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v0"],
        cwd=ROOT,
        env={**os.environ, "VAR_DIR": str(tmp_path)},
        check=True,
    )
    port = str(free_port())
    process = serve(tmp_path, "--port", port, **environment)
    assert process.stdout is not None
    assert process.stdout.readline() == f"Parley is at http://127.0.0.1:{port}\n"
    assert f"http://127.0.0.1:{port}/setup/" in process.stdout.readline()
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_port_that_is_taken_is_said(prepared: Prepared, server: Server, tmp_path: Path) -> None:
    process = serve(tmp_path, "--port", str(server.port), STATIC_ROOT=str(prepared.static))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{server.port}" in output


def test_without_static_files_the_start_says_what_to_do(tmp_path: Path) -> None:
    process = serve(tmp_path, "--port", str(free_port()), STATIC_ROOT=str(tmp_path / "nothing"))
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "collectstatic" in errors
