"""Makes the database that the servers of a run start from, in the VAR_DIR of the environment.

`python -m tests.e2e.prepare 100` migrates, makes so many people with a session each, and prints
them as JSON. Sessions, because a sign-in costs half a second: hashing a password is slow by design.
"""

import json
import os
import sys
from typing import Any

PASSWORD = "seven green lighthouses"


def main(count: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    print(json.dumps(_people(count)))


def _people(count: int) -> list[dict[str, Any]]:
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.hashers import make_password
    from django.contrib.sessions.backends.db import SessionStore
    from django.db import transaction

    from chat.models import User

    people = []
    password = make_password(PASSWORD)  # once for all
    with transaction.atomic():
        for number in range(count):
            name = f"person{number}" if number else "ada"
            user = User.objects.create(
                username=name,
                email=f"{name}@example.org",
                password=password,
                is_staff=number == 0,
                is_superuser=number == 0,
            )
            session = SessionStore()
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.create()
            people.append({"name": name, "session": session.session_key})
    return people


if __name__ == "__main__":
    main(int(sys.argv[1]))
