"""A provider that declines, fails, stalls or breaks off: the bounds, the record, and no secret."""

import json
import time
from typing import Any

import pytest

from tests.e2e.server import CANARY_KEY
from tests.fake_provider import (
    Chunk,
    Cut,
    Done,
    FakeProvider,
    Gate,
    Raw,
    Reset,
    Script,
    StallForever,
    Status,
    Step,
    Text,
    error_body,
    reply,
)
from tests.faults.conftest import FIRST_TOKEN_S, IDLE_S
from tests.faults.people import Guest
from tests.faults.tab import Tab

SOON_S = 2.0  # what needs no second call, and a reply that breaks off, is told within this
RETRIED_S = 30.0
SLACK_S = 1.0  # for a busy machine, over the settings
CALLS = 3
LEAK = error_body(401, f"Incorrect API key provided: {CANARY_KEY}.")
HALF = Text("Half an answer")

# What the provider does, how often it is called, and what the record says of the error.
DECLINED: dict[str, tuple[Script, int, str]] = {
    "401": (Script(Status(401, body=LEAK)), 1, "not_authorised"),
    "403": (Script(Status(403, body=LEAK)), 1, "not_authorised"),
    "400": (Script(Status(400, body=error_body(400, CANARY_KEY))), 1, "refused"),
    "429 for longer than the cap": (
        Script(Status(429, headers={"Retry-After": "61"})),
        1,
        "rate_limited",
    ),
    "500": (Script(Status(500, body=error_body(500, CANARY_KEY))), CALLS, "unavailable"),
    "503": (Script(Status(503)), CALLS, "unavailable"),
    "closed without a word": (Script(Cut()), CALLS, "unreachable"),
    "reset without a word": (Script(Reset()), CALLS, "unreachable"),
    "a page": (Script(Status(200, body=f"<html>{CANARY_KEY}</html>")), 1, "garbled"),
    "garbage": (Script(Raw(b"\x00\xff{{{ not sse\n\n")), 1, "empty"),
    "error event": (Script(Chunk(raw=LEAK)), 1, "refused"),
    "nothing": (Script(Done()), 1, "empty"),
    "nothing but a finish": (reply(""), 1, "empty"),
}
BROKEN_OFF: dict[str, tuple[Step, ...]] = {
    "closed": (Cut(),),
    "reset": (Reset(),),
    "error event": (Chunk(raw=error_body(500, f"key {CANARY_KEY}")),),
    "garbage": (Raw(b"data: {not json\n\n"),),
    "end without a finish": (),
    "[DONE] without a finish": (Done(),),
}


async def no_secret_is_out(guest: Guest, tab: Tab) -> None:
    """Frames are looked at as they come, and the log after each test."""
    for path in (guest.path, f"{guest.path}export.json", f"{guest.path}export.md"):
        assert CANARY_KEY not in (await guest.get(path)).text
    assert CANARY_KEY not in json.dumps(tab.said)


async def ended(guest: Guest, tab: Tab, state: str) -> dict[str, Any]:
    await tab.becomes(state)
    await no_secret_is_out(guest, tab)
    return await guest.ended()


@pytest.mark.parametrize("name", DECLINED)
async def test_what_fails_before_the_first_token_fails_in_time(
    guest: Guest, provider: FakeProvider, name: str
) -> None:
    script, calls, kind = DECLINED[name]
    provider.script(script)
    async with guest.opened() as tab:
        asked_at = await guest.asks("Well?")
        failed_at = await tab.becomes("failed", within=RETRIED_S + 5)
        assert failed_at - asked_at <= (SOON_S if calls == 1 else RETRIED_S)
        answer = await ended(guest, tab, "failed")
    assert answer["error"]["kind"] == kind
    assert answer["text"] == ""
    assert len(provider.streams) == calls


async def test_a_provider_that_nobody_can_reach_fails_in_time(
    guest: Guest, provider: FakeProvider
) -> None:
    provider.stop()
    try:
        async with guest.opened() as tab:
            asked_at = await guest.asks("Is anybody there?")
            assert await tab.becomes("failed", within=RETRIED_S + 5) - asked_at <= RETRIED_S
            answer = await ended(guest, tab, "failed")
    finally:
        provider.start()
    assert answer["error"]["kind"] == "unreachable"


@pytest.mark.parametrize("name", BROKEN_OFF)
async def test_a_reply_that_breaks_off_is_interrupted_in_time_and_keeps_its_text(
    guest: Guest, provider: FakeProvider, name: str
) -> None:
    provider.enqueue(Script(HALF, Gate("fault"), *BROKEN_OFF[name]))
    async with guest.opened() as tab:
        await guest.asks("Well?")
        await tab.shows("Half an answer")
        broken_at = time.monotonic()
        provider.open("fault")
        assert await tab.becomes("interrupted") - broken_at <= SOON_S
        answer = await ended(guest, tab, "interrupted")
        assert tab.text == answer["text"] == "Half an answer"
    assert len(provider.streams) == 1


async def test_a_busy_provider_is_not_called_earlier_than_it_says(
    guest: Guest, provider: FakeProvider
) -> None:
    wait_s = 3
    provider.enqueue(Script(Status(429, headers={"Retry-After": str(wait_s)})), reply("At last."))
    async with guest.opened() as tab:
        await guest.asks("Busy?")
        await tab.says("data-countdown")
        await tab.becomes("complete")
    first, second = provider.streams
    assert second.received_at - first.received_at >= wait_s
    assert (await guest.ended())["text"] == "At last."


async def test_a_reply_that_waits_for_a_busy_provider_can_be_stopped(
    guest: Guest, provider: FakeProvider
) -> None:
    provider.enqueue(Script(Status(429, headers={"Retry-After": "30"})))
    async with guest.opened() as tab:
        await guest.asks("Busy?")
        await tab.says('data-countdown="30.0"')
        asked_at = time.monotonic()
        await guest.stop()
        assert await tab.becomes("stopped") - asked_at <= SOON_S
    assert (await guest.ended())["state"] == "stopped"
    assert len(provider.streams) == 1


async def test_a_silent_provider_is_told_of_after_ten_seconds_and_given_up_after_its_time(
    impatient: Guest, provider: FakeProvider
) -> None:
    provider.enqueue(Script(StallForever()))
    async with impatient.opened() as tab:
        asked_at = await impatient.asks("Are you there?")
        told_at = await tab.says("Still waiting")
        assert 9 <= told_at - asked_at <= 10 + SLACK_S
        failed_at = await tab.becomes("failed")
        assert FIRST_TOKEN_S - SLACK_S <= failed_at - asked_at <= FIRST_TOKEN_S + SLACK_S
        answer = await ended(impatient, tab, "failed")
    assert answer["error"]["kind"] == "timed_out"
    assert provider.streams[0].closed_by_client


async def test_a_provider_that_stalls_is_given_up_after_its_time_and_the_reply_goes_on_later(
    impatient: Guest, provider: FakeProvider
) -> None:
    provider.enqueue(Script(HALF, StallForever()), reply(" and the rest."))
    async with impatient.opened() as tab:
        await impatient.asks("Well?")
        stalled_at = await tab.shows("Half an answer")
        interrupted_at = await tab.becomes("interrupted")
        assert IDLE_S - SLACK_S <= interrupted_at - stalled_at <= IDLE_S + SLACK_S
        answer = await ended(impatient, tab, "interrupted")
        assert (answer["text"], answer["stop_reason"]) == ("Half an answer", "deadline")
        assert provider.streams[0].closed_by_client
        button = f"continue-{answer['id']}"
        await tab.until(lambda: tab.dom.root.find(id=button) is not None, 20, "Continue")
        assert (await impatient.goes_on()).status == 204
        await tab.shows("and the rest.")
        await tab.becomes("complete")
