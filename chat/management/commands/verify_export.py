"""Hold an export against its signed manifest."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat.record import signing
from chat.record.checking import check


class Command(BaseCommand):
    help = "Check an export's signature and files. Without --key, the key of this installation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--key", help="the public key that signed it, base64")

    def handle(self, *args: Any, file: Path, key: str | None = None, **options: Any) -> None:
        checked = check(file, key or signing.public_key())
        for problem in checked.problems:
            self.stderr.write(problem)
        if checked.problems:
            raise CommandError("The export is not what was signed.")
        manifest = checked.manifest
        self.stdout.write(
            f"{manifest['conversations']} conversations, {manifest['messages']} messages,"
            f" exported by {manifest['by']} at {manifest['made']}; the signature is good"
        )
