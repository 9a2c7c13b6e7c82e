"""Ask every tool server which tools it has, and print a table."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chat.models import ToolServer
from chat.tools.servers.listing import refresh


class Command(BaseCommand):
    help = "Ask the enabled tool servers which tools they have. Fails if one could not be asked."

    def handle(self, *args: Any, **options: Any) -> None:
        rows = []
        failed = 0
        for server in ToolServer.objects.order_by("name"):
            if server.enabled:
                refresh(server)
                failed += bool(server.problem)
            names = ", ".join(entry["name"] for entry in server.listed)
            state = server.problem if server.enabled else "disabled"
            rows.append((server.name, str(len(server.listed)), state or "ok", names))
        if not rows:
            self.stdout.write("No tool server is configured.")
            return
        rows.insert(0, ("SERVER", "TOOLS", "STATE", "NAMES"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.stdout.write("  ".join(cells).rstrip())
        if failed:
            raise CommandError(f"{failed} of {len(rows) - 1} could not be asked.")
