"""What has to happen when somebody else's code changes who a person is."""

from functools import partial
from typing import Any

from django.contrib.auth.signals import user_logged_out
from django.db import connections, transaction
from django.db.models.signals import post_migrate, post_save, pre_migrate
from django.dispatch import receiver
from django.http import HttpRequest

from chat import doorbell
from chat.models import User
from chat.review import who
from chat.search import index


@receiver(user_logged_out)
def _session_ended(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is not None:
        # Django tells before it removes the session: who looks now would still find it.
        doorbell.ring_sessions(user.pk, ended=request.session.session_key)


@receiver(post_save, sender=User)
def _user_changed(instance: User, update_fields: Any, **kwargs: Any) -> None:
    # A sign-in writes last_login only; anything else may be a new password or a deactivation.
    if update_fields is None or set(update_fields) - {"last_login"}:
        transaction.on_commit(partial(doorbell.ring_sessions, instance.pk), robust=True)


@receiver(pre_migrate)
def _migrating(sender: Any, using: str, plan: Any = (), **kwargs: Any) -> None:
    if sender.name == "chat" and plan and _is_made(using):
        index.unwatch(connections[using])


@receiver(post_migrate)
def _migrated(sender: Any, using: str, **kwargs: Any) -> None:
    if sender.name == "chat" and _is_made(using):
        index.watch(connections[using])
        who.make_group()


def _is_made(using: str) -> bool:
    """Not before the first migration, nor after the last one was undone."""
    return {"chat_search", "chat_receipt"} <= set(connections[using].introspection.table_names())
