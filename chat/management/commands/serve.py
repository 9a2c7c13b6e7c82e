"""The production server: Daphne under our own start, drain and shutdown."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat import direct_socket
from chat.serving import Serving


class Command(BaseCommand):
    help = "Serve Parley: pages, sockets, and the engine that writes the replies."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument(
            "--no-engine",
            action="store_true",
            help="run no replies here, whatever REDIS_URL says: `manage.py engine` does",
        )
        parser.add_argument("--port", type=int, default=8000, help="port to listen on")

    def handle(self, *args: Any, **options: Any) -> None:
        self.check(databases=["default"])
        self.check_migrations()
        if not settings.DEBUG and not (settings.STATIC_ROOT / "staticfiles.json").exists():
            raise CommandError("Static files are not collected: run manage.py collectstatic first.")
        direct_socket.install()
        if options["no_engine"] and not settings.REDIS_URL:
            raise CommandError("--no-engine needs REDIS_URL: without it no other process can help.")
        serving = Serving(
            direct_socket.PatientServer,
            options["host"],
            options["port"],
            self._say,
            engine=False if options["no_engine"] else None,
        )
        raise SystemExit(serving.run())

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()  # into a pipe or a file, too, when it is said
