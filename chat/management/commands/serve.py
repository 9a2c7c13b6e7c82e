"""The production server: Daphne under our own start, drain and shutdown."""

from typing import Any

from daphne.server import Server
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chat import direct_socket
from chat.serving import Serving


class Command(BaseCommand):
    help = "Serve Parley: pages, sockets, and the engine that writes the replies."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
        parser.add_argument("--port", type=int, default=8000, help="port to listen on")

    def handle(self, *args: Any, **options: Any) -> None:
        self.check(databases=["default"])
        self.check_migrations()
        if not settings.DEBUG and not (settings.STATIC_ROOT / "staticfiles.json").exists():
            raise CommandError("Static files are not collected: run manage.py collectstatic first.")
        direct_socket.install()
        serving = Serving(Server, options["host"], options["port"], self._say)
        raise SystemExit(serving.run())

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()  # into a pipe or a file, too, when it is said
