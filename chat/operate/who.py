"""Who may see the status page."""

from django.contrib.auth.models import AnonymousUser

from chat.models import User


def may_see_status(user: User | AnonymousUser) -> bool:
    """Staff with the permission, which superusers have without being given it. Synchronous."""
    return user.is_staff and user.has_perm("chat.view_status")
