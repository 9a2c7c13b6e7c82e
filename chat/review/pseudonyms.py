"""Who wrote, where reviewing is anonymous: one name for each person, and not his own."""

import hashlib
import hmac
import re
from functools import lru_cache

from django.conf import settings
from django.utils.translation import gettext as _

from chat.models import User

# Eight hexadecimal digits: with a thousand people, two share a name once in nine thousand times.
REMEMBERED = 50_000  # people; more are only reckoned anew with every look for one
SHOWN = re.compile(r"([0-9A-F]{4})-?([0-9A-F]{4})\s*$", re.IGNORECASE)


def pseudonym(user_id: int) -> str:
    """``Person 3F9A-21C7``. Keyed, so that nobody finds the id by trying them all."""
    return _("Person %(code)s") % {"code": _code(settings.SECRET_KEY, user_id)}


def name_of(user: User, *, hidden: bool) -> str:
    return pseudonym(user.pk) if hidden else user.get_username()


def who_is(typed: str) -> list[int]:
    """The ids of those whose pseudonym this is; there is no way back but to try them all."""
    found = SHOWN.search(typed.strip())
    if found is None:
        return []
    code = f"{found[1]}-{found[2]}".upper()
    ids = User.objects.values_list("pk", flat=True)
    return [pk for pk in ids.iterator() if _code(settings.SECRET_KEY, pk) == code]


@lru_cache(REMEMBERED)
def _code(secret: str, user_id: int) -> str:
    """Remembered: a list that is filtered by a pseudonym tries everybody every few seconds."""
    key = f"chat.review.pseudonym{secret}".encode()
    digits = hmac.new(key, str(user_id).encode(), hashlib.sha256).hexdigest()[:8].upper()
    return f"{digits[:4]}-{digits[4:]}"
