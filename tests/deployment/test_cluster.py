"""Two web processes and two engines: it does not matter which one is asked, or which one dies."""

import asyncio
import time

import pytest
import websockets

from tests.deployment.cluster import Cluster
from tests.deployment.test_compose import check
from tests.e2e.server import Engine, Person
from tests.fake_provider import Done, FakeProvider, Finish, Gate, Script, Text
from tests.parts.postgres import PostgresServer
from tests.parts.process import free_port
from tests.support import eventually
from tests.visitor import Visitor, ask_soon, close_code, until

pytestmark = pytest.mark.timeout(300)

HALF = Script(Text("Half an answer"), Gate("rest"), Text(", and the rest."), Finish(), Done())


async def half(cluster: Cluster, visitor: Visitor) -> None:
    """Let the first half of a reply be written, and saved."""
    assert (await visitor.send("Hello?")).status == 200

    async def saved() -> bool:
        return (await visitor.reply()).get("text") == "Half an answer"

    await eventually(saved, within=20)


def writing(cluster: Cluster) -> tuple[Engine, Engine]:
    """The engine that began the newest reply, and the other one."""
    begun = [
        max(
            (e["timestamp"] for e in engine.events() if e["event"] == "generation_started"),
            default="",
        )
        for engine in cluster.engines
    ]
    first, second = cluster.engines
    return (first, second) if begun[0] > begun[1] else (second, first)


async def test_what_is_sent_through_one_process_is_seen_through_the_other(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(HALF)
    one, other = cluster.webs
    visitor = Visitor(one.url, somebody)
    async with visitor.watching(at=other.url) as page:
        await visitor.send("Hello?", at=one.url)
        await until(page, "Hello?")
        await until(page, "Half an answer")
        provider.open("rest")
        await until(page, 'data-state="complete"')
    answer = await visitor.ended(at=other.url)
    assert answer["text"] == "Half an answer, and the rest."
    assert answer["verdict"] == "passed"


async def test_a_reply_is_stopped_through_a_process_that_does_not_write_it(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(HALF)
    visitor = Visitor(cluster.webs[0].url, somebody)
    async with visitor.watching() as page:
        await visitor.send("Hello?")
        await until(page, "Half an answer")
        asked_at = time.monotonic()
        await visitor.post("stop", at=cluster.webs[1].url)
        (request,) = provider.streams
        closed_at = await asyncio.to_thread(request.wait_closed)
        await until(page, 'data-state="stopped"')
    assert closed_at - asked_at <= 1
    answer = await visitor.ended()
    assert (answer["state"], answer["stop_reason"]) == ("stopped", "user")
    assert answer["text"] == "Half an answer"


async def test_a_form_that_is_sent_twenty_times_through_both_makes_one_reply(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    visitor = Visitor(cluster.url, somebody)
    answers = await asyncio.gather(
        *(visitor.send("Hello?", at=cluster.webs[n % 2].url, key="the-same-key") for n in range(20))
    )
    assert {answer.status for answer in answers} == {200}
    await visitor.ended()
    assert len(await visitor.messages()) == 2
    assert len(provider.streams) == 1


async def test_two_sends_at_once_are_one_reply_and_one_reason(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    provider.script(HALF)
    visitor = Visitor(cluster.url, somebody)
    answers = await asyncio.gather(
        *(visitor.send(f"Question {web.port}?", at=web.url) for web in cluster.webs)
    )
    assert sorted(answer.status for answer in answers) == [200, 409]
    provider.open("rest")
    await visitor.ended()
    assert len(await visitor.messages()) == 2


async def test_a_reply_streams_through_nginx_without_waiting_for_its_end(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(HALF)
    visitor = Visitor(cluster.url, somebody)
    async with visitor.watching() as page:
        await visitor.send("Hello?")
        await until(page, "Half an answer")
        provider.open("rest")
        await until(page, 'data-state="complete"')


async def test_a_reply_streams_over_http_through_nginx(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(HALF)
    visitor = Visitor(cluster.url, somebody)
    await visitor.send("Hello?")
    reader, writer = await asyncio.open_connection("127.0.0.1", cluster.nginx.port)
    writer.write(
        f"GET {visitor.path}events HTTP/1.1\r\nHost: 127.0.0.1:{cluster.nginx.port}\r\n"
        f"Cookie: {somebody.cookie}\r\n\r\n".encode()
    )
    async with asyncio.timeout(30):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        await reader.readuntil(b"Half an answer")
        provider.open("rest")
        await reader.readuntil(b"complete")
        # Quiet from here on, but for a sign of life.
        for _ in range(3):
            await reader.readuntil(b"\n: \n\n")
    writer.close()
    assert "content-type: text/event-stream" in head.lower()


async def test_a_quiet_socket_stays_open_through_nginx(cluster: Cluster, somebody: Person) -> None:
    visitor = Visitor(cluster.url, somebody)
    async with visitor.watching() as page:
        # STREAM_HEARTBEAT is 1 s here: in this time there must be several, and nothing else.
        with pytest.raises(TimeoutError):
            await close_code(page, within=5)
        await visitor.send("Hello?")
        await until(page, 'data-state="complete"')


async def test_a_page_from_elsewhere_gets_no_socket_through_nginx(
    cluster: Cluster, somebody: Person
) -> None:
    visitor = Visitor(cluster.url, somebody)

    async def refused() -> bool:
        with pytest.raises(websockets.InvalidStatus) as refusal:
            await websockets.connect(
                cluster.url.replace("http", "ws") + visitor.socket_path,
                origin="http://127.0.0.1",  # type: ignore[arg-type]  # without nginx's port
                additional_headers={"Cookie": somebody.cookie},
            )
        # nginx asks the other process too, and says 502 while it still believes that one away.
        return bool(refusal.value.response.status_code == 403)

    await eventually(refused)


async def test_attempts_to_sign_in_are_counted_by_the_client_behind_nginx(
    cluster: Cluster,
) -> None:
    async def try_from(source: str, pretending: str) -> int:
        page = await ask_soon(cluster.url + "/accounts/login/", source=source)
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        answer = await ask_soon(
            cluster.url + "/accounts/login/",
            "POST",
            f"csrfmiddlewaretoken={token}&login=nobody{source}&password=wrong".encode(),
            source=source,
            Cookie=cookie,
            Content_Type="application/x-www-form-urlencoded",
            X_Forwarded_For=pretending,
        )
        return answer.status if answer.status != 200 else 429 * ("Too many" in answer.text) or 200

    # Who guesses cannot help himself by claiming to be somebody else each time.
    answers = [await try_from("127.0.0.3", f"203.0.113.{n}") for n in range(24)]
    assert answers[0] == 200
    assert answers[-1] == 429
    assert await try_from("127.0.0.4", "127.0.0.3") == 200


# --- Processes that end ---------------------------------------------------------------------------


async def test_a_web_process_that_is_told_to_stop_sends_its_pages_to_the_other(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(HALF)
    visitor = Visitor(cluster.url, somebody)
    going, staying = cluster.webs
    async with visitor.watching(at=going.url) as page:
        await visitor.send("Hello?")
        await until(page, "Half an answer")
        told_at = time.monotonic()
        ending = asyncio.create_task(asyncio.to_thread(going.stop))
        assert await close_code(page) == 1012
    # At once, and whichever way nginx goes: the first try must succeed.
    async with visitor.watching() as page:
        await until(page, "Half an answer")
        assert time.monotonic() - told_at <= 5
        provider.open("rest")
        await until(page, 'data-state="complete"')
    await ending
    assert (await visitor.ended(at=staying.url))["text"] == "Half an answer, and the rest."


async def test_nobody_is_refused_while_a_web_process_stops(
    cluster: Cluster, somebody: Person
) -> None:
    """nginx holds idle connections to both: none of them may lead to a closed door."""
    visitor = Visitor(cluster.url, somebody)
    new = visitor.fields["new"]
    assert (await visitor.post("settings", new=new)).status == 200
    statuses: list[int] = []
    ended = asyncio.Event()

    async def read() -> None:
        while not ended.is_set():
            statuses.append((await visitor.get("/")).status)

    async def watch() -> None:
        while not ended.is_set():
            async with visitor.watching():
                statuses.append(101)

    async def write() -> None:
        while not ended.is_set():
            statuses.append((await visitor.post("settings", new=new, temperature="1")).status)

    busy = [asyncio.create_task(work()) for work in (read, read, watch, write, write)]
    await asyncio.sleep(1)
    async with visitor.watching(at=cluster.webs[0].url):
        await asyncio.to_thread(cluster.webs[0].stop)
    ended.set()
    await asyncio.gather(*busy)
    assert set(statuses) == {200, 101}


async def test_a_web_process_that_is_killed_costs_a_reconnection(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(HALF)
    visitor = Visitor(cluster.url, somebody)
    async with visitor.watching(at=cluster.webs[0].url) as page:
        await visitor.send("Hello?")
        await until(page, "Half an answer")
        cluster.webs[0].kill()
        assert await close_code(page) == 1006
    async with visitor.watching() as page:
        await until(page, "Half an answer")
        provider.open("rest")
        await until(page, 'data-state="complete"')
    assert (await visitor.ended())["text"] == "Half an answer, and the rest."


async def test_an_engine_that_is_told_to_stop_finishes_what_it_writes(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(HALF)
    visitor = Visitor(cluster.url, somebody)
    async with visitor.watching() as page:
        await visitor.send("Hello?")
        await until(page, "Half an answer")
        going, staying = writing(cluster)
        ending = asyncio.create_task(asyncio.to_thread(going.stop))
        # What is new goes to the other one meanwhile.
        second = Visitor(cluster.url, somebody)
        await second.send("And now?")
        assert (await second.ended())["state"] == "complete"
        assert not ending.done()
        provider.open("rest")
        await until(page, 'data-state="complete"')
    await ending
    assert (await visitor.ended())["text"] == "Half an answer, and the rest."
    assert staying.is_running


async def test_an_engine_that_is_killed_leaves_an_interrupted_reply(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(HALF)
    visitor = Visitor(cluster.url, somebody)
    async with visitor.watching() as page:
        await half(cluster, visitor)
        killed, _ = writing(cluster)
        killed.kill()
        killed_at = time.monotonic()
        await until(page, 'data-state="interrupted"', within=40)
        assert time.monotonic() - killed_at <= 30
    answer = await visitor.ended()
    assert (answer["state"], answer["text"]) == ("interrupted", "Half an answer")
    assert answer["verdict"] == "passed"
    assert len(provider.streams) == 1


async def test_an_engine_that_hangs_and_comes_back_cannot_write_any_more(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(HALF)
    visitor = Visitor(cluster.url, somebody)
    async with visitor.watching() as page:
        await half(cluster, visitor)
        hanging, _ = writing(cluster)
        since = hanging.log_bytes
        hanging.freeze()
        await until(page, 'data-state="interrupted"', within=40)
        hanging.thaw()
    provider.open("rest")
    (request,) = provider.streams
    await provider.eventually(lambda: request.finished or request.closed_by_client, 20)

    async def told() -> bool:
        return any(e["event"] == "generation_ended" for e in hanging.events(since))

    await eventually(told, within=30)
    assert (await visitor.reply())["text"] == "Half an answer"
    assert (await visitor.reply())["state"] == "interrupted"


# --- What stands around them ----------------------------------------------------------------------


async def test_a_stream_goes_on_after_a_restart_of_redis(
    cluster: Cluster, provider: FakeProvider, somebody: Person
) -> None:
    words = [f"w{number} " for number in range(300)]
    provider.enqueue(Script(Text("".join(words), size=5, rate=30), Finish(), Done()))
    visitor = Visitor(cluster.url, somebody)
    async with visitor.watching() as page:
        await visitor.send("Hello?")
        await until(page, "w9 ")
        await asyncio.to_thread(cluster.redis.stop)
        await asyncio.to_thread(cluster.redis.start)
        back_at = time.monotonic()
        await until(page, "w", within=20)
        assert time.monotonic() - back_at <= 10
        await until(page, 'data-state="complete"', within=60)
    answer = await visitor.ended()
    assert answer["text"].split() == "".join(words).split()


async def test_everybody_goes_on_after_a_restart_of_the_database(
    cluster: Cluster, postgres: PostgresServer, provider: FakeProvider, somebody: Person
) -> None:
    provider.enqueue(HALF)
    visitor = Visitor(cluster.url, somebody)
    async with visitor.watching() as page:
        await visitor.send("Hello?")
        await until(page, "Half an answer")
        await asyncio.to_thread(postgres.stop)
        await asyncio.to_thread(postgres.start)
        assert {(await visitor.get("/")).status for _ in range(8)} == {200}
        provider.open("rest")
        await until(page, 'data-state="complete"')
    assert (await visitor.ended())["text"] == "Half an answer, and the rest."


async def test_a_web_process_is_well_as_compose_asks_it(cluster: Cluster) -> None:
    web = cluster.webs[0]
    assert check("web", localhost="127.0.0.1", **{":8000": f":{web.port}"})
    assert not check("web", localhost="127.0.0.1", **{":8000": f":{free_port()}"})


async def test_nginx_is_well_as_compose_asks_it(cluster: Cluster) -> None:
    assert check("nginx", localhost="127.0.0.1", **{":8080": f":{cluster.nginx.port}"})
    assert not check("nginx", localhost="127.0.0.1", **{":8080": f":{free_port()}"})
