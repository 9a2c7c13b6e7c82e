"""Makes signed-in users in the database that the environment names; prints their cookies as JSON.

`python -m benchmarks.seed_parley 100`, run as a child process of the benchmark.
"""

import json
import sys

import django


def main(count: int) -> None:
    django.setup()
    from django.conf import settings
    from django.contrib.auth import (
        BACKEND_SESSION_KEY,
        HASH_SESSION_KEY,
        SESSION_KEY,
        get_user_model,
    )
    from django.contrib.sessions.backends.db import SessionStore

    sessions = []
    for number in range(count):
        user = get_user_model().objects.create_user(
            username=f"bench{number}", email=f"bench{number}@example.org"
        )
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        sessions.append(session.session_key)
    print(json.dumps({"cookie": settings.SESSION_COOKIE_NAME, "sessions": sessions}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
