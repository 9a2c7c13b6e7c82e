"""One pass of the sweeper, for cron or by hand."""

import asyncio
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from chat import sweeper
from chat.database import close_pool
from chat.engine.provider import Endpoint, Provider


class Command(BaseCommand):
    help = "Finish what a crash left: orphaned replies, missing receipts, pending verdicts."

    def handle(self, *args: Any, **options: Any) -> None:
        swept = asyncio.run(_sweep())
        self.stdout.write(
            f"{swept.orphans} orphaned, {swept.reconciled} reconciled,"
            f" {swept.moderated} moderated, {swept.purged} purged"
        )


async def _sweep() -> sweeper.Swept:
    endpoint = Endpoint(settings.OPENAI_BASE_URL, settings.OPENAI_API_KEY)
    provider = Provider(lambda: endpoint)
    try:
        return await sweeper.sweep(provider, sweeper.OrphansAtOnce())
    finally:
        await provider.close()
        close_pool()
