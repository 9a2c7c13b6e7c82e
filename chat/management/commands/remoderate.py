"""Judge again what was said, after rules or policy have changed."""

import asyncio
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from chat import remoderate
from chat.database import close_pool
from chat.engine.provider import Endpoint, Provider
from chat.moderation.base import ModerationUnavailable
from chat.moderation.registry import REGISTRY
from chat.policy import RULES


class Command(BaseCommand):
    help = (
        "Apply the present policy and rules to what was judged by earlier ones. What a reviewer has"
        " decided on stays as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days", type=int, default=remoderate.DAYS, help="how far back (default: %(default)s)"
        )
        parser.add_argument(
            "--backend", choices=[*REGISTRY, RULES], default="", help="ask this one again, no other"
        )
        parser.add_argument(
            "--all",
            action="store_true",
            help="also what is up to date",
            dest="whether_stale_or_not",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 1:
            raise CommandError("--days must be above 0")
        try:
            done = asyncio.run(
                self._run(options["days"], options["backend"], options["whether_stale_or_not"])
            )
        except ModerationUnavailable as error:
            raise CommandError(f"The backend cannot be asked now: {error}") from None
        self.stdout.write(f"{done} verdicts judged again")

    async def _run(self, days: int, backend: str, whether_stale_or_not: bool) -> int:
        endpoint = Endpoint(settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY)
        provider = Provider(lambda: endpoint)
        done = 0
        try:
            async for done in remoderate.everything(
                days, provider, backend=backend, whether_stale_or_not=whether_stale_or_not
            ):
                self.stdout.write(f"{done}…", self.style.NOTICE)
        finally:
            await provider.close()
            close_pool()
        return done
