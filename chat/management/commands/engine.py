"""A generation worker of a deployment with many processes."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat import services
from chat.database import close_pool
from chat.process import Signals, drain, settle

logger = structlog.get_logger()

ALIVE_EVERY_S = 5.0


class Command(BaseCommand):
    help = "Write replies for the `serve` processes on the same database and Redis."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--alive-file",
            type=Path,
            help="touched every few seconds, for a health check that looks at its age",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.REDIS_URL:
            raise CommandError("REDIS_URL is not set: `manage.py serve` runs the engine itself.")
        self.check(databases=["default"])
        self.check_migrations()
        asyncio.run(_run(options["alive_file"]))
        close_pool()


async def _run(alive_file: Path | None) -> None:
    signals = Signals(asyncio.get_running_loop())
    services.ensure_started(engine=True)
    settle()
    logger.info("engine_started", pid=os.getpid())
    while not signals.end.is_set():
        if alive_file is not None:
            os.close(os.open(alive_file, os.O_CREAT | os.O_WRONLY, 0o644))
            os.utime(alive_file)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ALIVE_EVERY_S):
                await signals.end.wait()
    await drain(signals.hurry)
    logger.info("stopped")
