"""`manage.py api_key USERNAME`: make a key for the API and print it, this once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chat.api import keys
from chat.models import Scope, User

NAME_CHARS = 80


class Command(BaseCommand):
    help = "Make an API key for a user and print it. It cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="", help="what it is for")
        parser.add_argument("--days", type=int, help="until it expires; never, if not given")
        parser.add_argument(
            "--scopes",
            default=",".join(Scope.values),
            help="what it may do, comma-separated: %(default)s",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name, days = options["name"], options["days"]
        if len(name) > NAME_CHARS:
            raise CommandError(f"--name: at most {NAME_CHARS} characters.")
        if days is not None and not 1 <= days <= keys.DAYS_MAX:
            raise CommandError(f"--days: from 1 to {keys.DAYS_MAX:,}.")
        given = [word.strip() for word in options["scopes"].split(",") if word.strip()]
        if not given or not set(given) <= set(Scope.values):
            raise CommandError(f"--scopes: a list of {', '.join(Scope.values)}.")
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        if not user.is_active:
            raise CommandError(f"{options['username']!r} is not active: no key would work.")
        scopes = [scope for scope in Scope if scope in given]
        self.stdout.write(keys.make(user, name, days=days, scopes=scopes))
