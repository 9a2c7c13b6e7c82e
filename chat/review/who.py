"""Who may review. Granted to a person or a group by name, to nobody by right of rank."""

from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.db.models import Q, QuerySet

from chat.models import User

REVIEW = "review_transcripts"
IDENTITIES = "see_identities"
EXPORT = "export_transcripts"
HOLD = "hold_transcripts"

GROUP = "Reviewers"
GROUP_MAY = (REVIEW, EXPORT)


def granted(user: User | AnonymousUser, codename: str) -> bool:
    """Has an active user been given this permission? Asks the database: superusers are asked too.

    ``user.has_perm`` says yes to every superuser, and an administrator is no reviewer.
    """
    return user.pk is not None and _holders(codename).filter(pk=user.pk).exists()


def may_review(user: User | AnonymousUser) -> bool:
    return granted(user, REVIEW)


def may_see_identities(user: User | AnonymousUser) -> bool:
    return granted(user, IDENTITIES)


def reviewers() -> QuerySet[User]:
    """Everybody who may review, by name."""
    return _holders(REVIEW).order_by("username")


def _holders(codename: str) -> QuerySet[User]:
    permission = Permission.objects.filter(content_type__app_label="chat", codename=codename)
    given = Q(user_permissions__in=permission) | Q(groups__permissions__in=permission)
    return User.objects.filter(is_active=True).filter(given).distinct()


def make_group() -> None:
    """The group of reviewers, when there is none yet; what an operator made of it stays."""
    permissions = Permission.objects.filter(content_type__app_label="chat", codename__in=GROUP_MAY)
    if len(permissions) < len(GROUP_MAY):
        return
    group, is_new = Group.objects.get_or_create(name=GROUP)
    if is_new:
        group.permissions.set(permissions)
