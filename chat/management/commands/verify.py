"""Hold every receipt against the record."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chat.verification import verify

LISTED = 50


class Command(BaseCommand):
    help = "Check every receipt against the text and the state on record."

    def handle(self, *args: Any, **options: Any) -> None:
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
            f" {result.missing} replies without a receipt"
        )
        if result.findings or result.missing:
            raise CommandError("The record is not what the receipts prove.")
