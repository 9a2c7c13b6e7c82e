#!/usr/bin/env python
"""Django's command line for Parley."""

import asyncio
import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    if sys.argv[1:2] in (["serve"], ["engine"]):
        # Daphne makes its loop when Django imports its apps, so this cannot wait for the command.
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    from chatsite.env import BadEnvironment

    try:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except BadEnvironment as error:
        sys.exit(f"Parley cannot start.\n{error}")


if __name__ == "__main__":
    main()
