"""Purge what is due now, or one conversation; a legal hold stands above both."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from chat.models import Conversation
from chat.record import purge


class Command(BaseCommand):
    help = "Purge the conversations whose time has come, or the one that is named."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("conversation", nargs="?", type=UUID)
        parser.add_argument(
            "--vacuum",
            action="store_true",
            help="rewrite the whole database file afterwards: for what was deleted before"
            " Parley overwrote it",
        )

    def handle(
        self,
        *args: Any,
        conversation: UUID | None = None,
        vacuum: bool = False,
        **options: Any,
    ) -> None:
        if conversation is None:
            purged = purge.purge_due()
        else:
            purged = self._one(conversation)
        if vacuum:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM FULL" if connection.vendor == "postgresql" else "VACUUM")
        if (vacuum or conversation is not None) and not purge.scrub():
            raise CommandError("Purged, but the database is in use: run this again.")
        self.stdout.write(f"{purged} purged")

    def _one(self, conversation_id: UUID) -> int:
        found = Conversation.objects.filter(pk=conversation_id).first()
        if found is None:
            raise CommandError("There is no such conversation.")
        if purge.purge(found, purge.REQUESTED) is None:
            raise CommandError(
                "Not purged: it is under a legal hold, or something in it is not finished yet"
                " (a reply, a verdict, or a log that viewers may still follow)."
            )
        return 1
