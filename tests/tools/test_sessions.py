"""Calls to a real tool server, over stdio and over streamable HTTP."""

import asyncio
import json
import os
import time
from typing import Any

import psutil
import pytest

from chat.models import ServerTransport, ToolServer
from chat.tools.base import ToolFailed
from chat.tools.mcp_sessions import Sessions
from chat.tools.servers.listing import list_tools
from chat.tools.servers.reach import Reach
from chat.tools.text import CUT, RESULT_CHARS
from tests.support import eventually
from tests.tools.conftest import Make, http_process, over_stdio


async def ask(sessions: Sessions, server: ToolServer, tool: str, **arguments: Any) -> str:
    return await sessions.call(Reach.of(server), tool, arguments)


async def gone(*pids: int) -> None:
    async def all_gone() -> bool:
        return not any(psutil.pid_exists(pid) for pid in pids)

    await eventually(all_gone)


async def test_one_session_serves_many_calls(sessions: Sessions, make: Make) -> None:
    server = make()
    assert await ask(sessions, server, "echo", text="grüße 👋") == "grüße 👋"
    assert await ask(sessions, server, "add", a=2, b=40) == "42"
    both = await asyncio.gather(
        ask(sessions, server, "slow", seconds=0.2), ask(sessions, server, "echo", text="first")
    )
    assert both == ["at last", "first"]
    assert len(sessions._open) == 1


async def test_a_failure_is_the_servers_words(sessions: Sessions, make: Make) -> None:
    with pytest.raises(ToolFailed, match="the printer is on fire"):
        await ask(sessions, make(), "fail")
    with pytest.raises(ToolFailed, match="no_such"):
        await ask(sessions, make(), "no_such")


async def test_hostile_results_are_text_of_bounded_size(sessions: Sessions, make: Make) -> None:
    server = make()
    html = await ask(sessions, server, "hostile", kind="html")
    assert html == "<script>alert(1)</script><img src=x onerror=alert(1)>"
    assert await ask(sessions, server, "hostile", kind="control") == "a\ufffdb[31mc\nd"
    large = await ask(sessions, server, "hostile", kind="large")
    assert large == "x" * (RESULT_CHARS - len(CUT)) + CUT
    assert await ask(sessions, server, "hostile", kind="image") == "Look:\n[image]"
    assert await ask(sessions, server, "hostile", kind="nothing") == ""


async def test_a_stalled_call_is_cut_and_the_session_goes_on(
    sessions: Sessions, make: Make
) -> None:
    server = make()
    assert await ask(sessions, server, "echo", text="warm") == "warm"
    reach = Reach.of(server)
    session = sessions.of(reach)
    session.reach = Reach.of(make(timeout_s=1))
    started = time.monotonic()
    with pytest.raises(ToolFailed, match="did not answer within 1 seconds"):
        await ask(sessions, server, "stall")
    assert time.monotonic() - started < 10
    session.reach = reach
    assert await ask(sessions, server, "echo", text="still here") == "still here"


async def test_the_server_hears_that_nobody_waits(sessions: Sessions, make: Make) -> None:
    server = make()
    before = int(await ask(sessions, server, "taken_back"))
    call = asyncio.create_task(ask(sessions, server, "stall"))
    await ask(sessions, server, "echo", text="the call before this one has arrived")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    async def heard() -> bool:
        return int(await ask(sessions, server, "taken_back")) == before + 1

    await eventually(heard)


async def test_a_server_that_dies_fails_the_call_and_nothing_else() -> None:
    with http_process() as url:
        over_http = ToolServer(name="web", transport=ServerTransport.HTTP, url=url, timeout_s=60)
        for server in (over_stdio(timeout_s=60), over_http):
            async with Sessions() as sessions:
                assert await ask(sessions, server, "echo", text="alive") == "alive"
                session = sessions.of(Reach.of(server))
                calls = [
                    asyncio.create_task(ask(sessions, server, "stall")),
                    asyncio.create_task(ask(sessions, server, "die")),
                ]
                async with asyncio.timeout(20):  # not the 60 s of a call
                    results = await asyncio.gather(*calls, return_exceptions=True)
                assert [type(one) for one in results] == [ToolFailed, ToolFailed]
                assert "ended before it answered" in str(results[1])
                assert session.over
                current = asyncio.current_task()
                assert current is not None
                assert not current.cancelling()


async def test_after_a_death_the_next_call_starts_anew(sessions: Sessions) -> None:
    server = over_stdio()
    with pytest.raises(ToolFailed):
        await ask(sessions, server, "die")
    assert await ask(sessions, server, "echo", text="again") == "again"


async def test_a_cancelled_call_leaves_no_process() -> None:
    pids: list[int] = []
    stalling = asyncio.Event()

    async def reply() -> None:
        async with Sessions() as sessions:
            pids.extend(json.loads(await ask(sessions, over_stdio(), "pids")))
            stalling.set()
            await ask(sessions, over_stdio(), "stall")

    running = asyncio.create_task(reply())
    await stalling.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(*pids)


async def test_a_reply_that_is_cancelled_while_a_server_starts_leaves_none() -> None:
    running = asyncio.create_task(list_tools(over_stdio()))

    def ours() -> list[psutil.Process]:
        children = psutil.Process().children(recursive=True)
        return [child for child in children if any("server.py" in part for part in child.cmdline())]

    async def started() -> list[psutil.Process]:
        return [one for one in ours() if "--http" not in one.cmdline()]

    found = await eventually(started)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(*(one.pid for one in found))


async def test_one_that_ignores_its_end_is_killed_with_what_it_started() -> None:
    async with Sessions() as sessions:
        pids = json.loads(await ask(sessions, over_stdio("--stubborn"), "pids"))
        assert all(psutil.pid_exists(pid) for pid in pids)
    await gone(*pids)


async def test_a_loop_that_ends_leaves_no_process() -> None:
    def in_a_loop_of_its_own() -> list[int]:
        async def forgetful() -> list[int]:
            sessions = Sessions()
            found: list[int] = json.loads(await ask(sessions, over_stdio(), "pids"))
            return found

        return asyncio.run(forgetful())

    await gone(*await asyncio.to_thread(in_a_loop_of_its_own))


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("/nonexistent/program", [], "could not be started"),
        ("/bin/true", [], "ended before it answered"),
        ("/bin/echo", ["this is no JSON"], "ended before it answered"),
        ("/bin/sleep", ["1000"], "did not answer within 1 seconds"),
        ("/bin/cat", [], "did not answer|ended"),
    ],
)
async def test_a_program_that_is_no_server(command: str, arguments: list[str], words: str) -> None:
    server = over_stdio(command=command, arguments=arguments, timeout_s=1)
    with pytest.raises(ToolFailed, match=words):
        await list_tools(server)


@pytest.mark.parametrize(
    ("path", "words"), [("/mcp", "could not be reached"), ("/elsewhere", "HTTP status|ended")]
)
async def test_an_address_that_is_no_server(path: str, words: str, http_url: str) -> None:
    base = "http://127.0.0.1:9" if path == "/mcp" else http_url.removesuffix("/mcp")
    server = ToolServer(name="web", transport=ServerTransport.HTTP, url=base + path, timeout_s=5)
    with pytest.raises(ToolFailed, match=words):
        await list_tools(server)


async def test_the_program_gets_its_own_variables_and_none_of_ours(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_SECRET", "s3cret-value")
    server = over_stdio(environment={"GIVEN": "plain", "SERVICE_TOKEN": "$SERVICE_SECRET"})
    found = json.loads(await ask(sessions, server, "environment"))
    assert os.environ["OPENAI_API_KEY"]
    assert set(found) - {"LC_CTYPE"} == {"PATH", "HOME", "LANG", "GIVEN", "SERVICE_TOKEN"}
    assert found["GIVEN"] == "plain"
    # The value is taken out of results too, by its name.
    assert found["SERVICE_TOKEN"] == "[secret]"


async def test_headers_are_sent(sessions: Sessions, http_url: str) -> None:
    server = ToolServer(
        name="web",
        transport=ServerTransport.HTTP,
        url=http_url,
        timeout_s=30,
        headers={"X-Team": "blue"},
    )
    # What was configured as a header counts as a secret, and is taken out of results.
    assert await ask(sessions, server, "header", name="x-team") == "[secret]"
    text = await ask(sessions, server, "header", name="accept-encoding")
    assert text == "identity"


async def test_no_secret_is_in_an_error(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_SECRET", "s3cret-value")
    server = make(
        environment={"SERVICE_TOKEN": "$SERVICE_SECRET"},
        headers={"Authorization": "Bearer s3cret-value"},
    )
    async with Sessions() as sessions:
        with pytest.raises(ToolFailed) as caught:
            await ask(sessions, server, "leak")
    assert "no such customer" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(Reach.of(server))


async def test_a_variable_that_is_not_set_is_named(make: Make) -> None:
    server = make(environment={"A_TOKEN": "$NOT_SET_HERE"}, headers={"A": "$NOT_SET_HERE"})
    with pytest.raises(ToolFailed, match="needs NOT_SET_HERE in Parley's environment"):
        await list_tools(server)


async def test_a_reply_that_is_over_opens_nothing() -> None:
    async with Sessions() as sessions:
        pass
    with pytest.raises(ToolFailed):
        await ask(sessions, over_stdio(), "echo", text="late")
