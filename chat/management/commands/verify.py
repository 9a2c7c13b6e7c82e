"""Hold every receipt against the record, and go along the chain of the access log."""

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.models import AccessEntry
from chat.record import access_log
from chat.verification import verify

LISTED = 50


class Command(BaseCommand):
    help = "Check every receipt against the text on record, and the chain of the access log."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--head",
            metavar="HASH",
            help="a hash of the access log that was kept elsewhere: it has to be in the chain",
        )

    def handle(self, *args: Any, head: str | None = None, **options: Any) -> None:
        if head is not None and not re.fullmatch(r"[0-9a-f]{64}", head):
            raise CommandError("--head takes the 64 hexadecimal digits of an entry's hash.")
        sound = self._receipts()
        sound &= self._chain(head)
        if not sound:
            raise CommandError("The record is not what its proofs say.")

    def _receipts(self) -> bool:
        result = verify()
        for finding in result.findings[:LISTED]:
            self.stderr.write(
                f"conversation {finding.conversation_id}, message {finding.message_id}:"
                f" {finding.what}"
            )
        if len(result.findings) > LISTED:
            self.stderr.write(f"… and {len(result.findings) - LISTED} more")
        self.stdout.write(
            f"{result.receipts} receipts, {len(result.findings)} findings,"
            f" {result.missing} replies without a receipt, {result.redacted} redacted"
        )
        return not result.findings and not result.missing

    def _chain(self, head: str | None) -> bool:
        chain = access_log.verify()
        self.stdout.write(f"access log: {chain.entries} entries, the last one's hash {chain.head}")
        if chain.broken is not None:
            self.stderr.write(
                f"access log: broken at entry {chain.broken.number}: {chain.broken.what}"
            )
            return False
        if (
            head not in {access_log.FIRST, None}
            and not AccessEntry.objects.filter(hash=head).exists()
        ):
            self.stderr.write("access log: no entry has the hash that was given")
            return False
        return True
