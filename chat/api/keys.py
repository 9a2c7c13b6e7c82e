"""Keys: made and shown once, found by their hash, revoked and never deleted."""

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from chat.api.errors import ApiError
from chat.models import ApiKey, Scope, User
from chat.models.api import SHOWN_CHARS, all_scopes, digest, new_key

NOTE_USE_EVERY = timedelta(minutes=1)  # a write per request would be felt by those beside it
SCHEME = "bearer "
DAYS_MAX = 3650  # for longer than ten years, say "never"


def make(
    owner: User, name: str = "", *, days: int | None = None, scopes: Iterable[Scope] | None = None
) -> str:
    """A new key of this user; the only time that it can be read. ``days`` until it expires."""
    key = new_key()
    ApiKey.objects.create(
        owner=owner,
        name=name,
        shown=key[:SHOWN_CHARS],
        sha256=digest(key),
        scopes=all_scopes() if scopes is None else [str(scope) for scope in scopes],
        expires_at=None if days is None else timezone.now() + timedelta(days=days),
    )
    return key


def revoke(owner: User, key_id: int) -> bool:
    """Close the door to this key of the user's; False if it was closed, or there is none."""
    mine = ApiKey.objects.filter(pk=key_id, owner=owner, revoked_at=None)
    return bool(mine.update(revoked_at=timezone.now()))


def of_header(authorization: str, scope: Scope) -> ApiKey:
    """The usable key of an ``Authorization`` header, with its owner.

    Raises:
        ApiError: 401 without a usable key, 403 when it may not do this.
    """
    if not authorization[: len(SCHEME)].lower() == SCHEME:
        raise _unauthorised("You did not give an API key: send `Authorization: Bearer <key>`.")
    given = authorization[len(SCHEME) :].strip()
    usable = ApiKey.objects.usable().select_related("owner")
    key = usable.filter(sha256=digest(given)).first()
    if key is None:
        raise closed()
    if scope not in key.scopes:
        text = f"This API key lacks the scope `{scope}`."
        raise ApiError(403, text, "permission_error", code="missing_scope")
    _note_use(key)
    return key


def is_usable(key: ApiKey) -> bool:
    """Does the key still open the door? Synchronous: see chat.database."""
    return ApiKey.objects.usable().filter(pk=key.pk).exists()


def closed() -> ApiError:
    return _unauthorised("This API key is unknown, expired or revoked.")


def _note_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is not None and now - key.last_used_at < NOTE_USE_EVERY:
        return
    # Of many requests at once one writes.
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - NOTE_USE_EVERY)
    ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)


def _unauthorised(text: str) -> ApiError:
    return ApiError(401, text, code="invalid_api_key")
