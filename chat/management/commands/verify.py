"""Hold every receipt and every seal against the record, and go along the chains."""

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.models import AccessEntry, Chained, Seal
from chat.record import chain
from chat.verification import verify

LISTED = 50
CHAINS: dict[str, type[Chained]] = {"access log": AccessEntry, "seals": Seal}


class Command(BaseCommand):
    help = "Check every reply against its receipt and seal, and the chains of seals and of access."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--head",
            metavar="HASH",
            action="append",
            default=[],
            help="a hash of either chain that was kept elsewhere: it has to be there. May be"
            " given for each",
        )

    def handle(self, *args: Any, head: list[str], **options: Any) -> None:
        if not all(re.fullmatch(r"[0-9a-f]{64}", each) for each in head):
            raise CommandError("--head takes the 64 hexadecimal digits of an entry's hash.")
        sound = self._receipts()
        for name, entries in CHAINS.items():
            sound &= self._chain(name, entries)
        for each in head:
            sound &= self._is_there(each)
        if not sound:
            raise CommandError("The record is not what its proofs say.")

    def _receipts(self) -> bool:
        result = verify()
        for finding in result.findings[:LISTED]:
            self.stderr.write(str(finding))
        if len(result.findings) > LISTED:
            self.stderr.write(f"… and {len(result.findings) - LISTED} more")
        self.stdout.write(
            f"{result.receipts} receipts, {len(result.findings)} findings,"
            f" {result.missing} replies without a receipt, {result.redacted} redacted"
        )
        return not result.findings and not result.missing

    def _chain(self, name: str, entries: type[Chained]) -> bool:
        found = chain.verify(entries)
        self.stdout.write(f"{name}: {found.entries} entries, the last one's hash {found.head}")
        if found.broken is not None:
            self.stderr.write(f"{name}: broken at entry {found.broken.number}: {found.broken.what}")
        return found.broken is None

    def _is_there(self, head: str) -> bool:
        chains = CHAINS.values()
        if head == chain.FIRST or any(c.objects.filter(hash=head).exists() for c in chains):
            return True
        self.stderr.write(f"no entry has the hash that was given, {head}")
        return False
