"""The people: added and edited here, never deleted, for their transcripts are kept.

Who may edit people gives nobody a power by that, himself least: what makes a reviewer, or lets
somebody be one, is a superuser's to change.
"""

from typing import TYPE_CHECKING, Any

from allauth.account.admin import EmailAddressAdmin as AllauthEmailAddressAdmin
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from chat.models import User

if TYPE_CHECKING:
    Base = DjangoUserAdmin[Any]
else:
    Base = DjangoUserAdmin

# Whoever may set one of these can read every transcript, or let somebody read them.
POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User)
class UserAdmin(Base):
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "date_joined")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups")
    date_hierarchy = "date_joined"
    show_full_result_count = False
    readonly_fields = ("conversations_link", "last_login", "date_joined")
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "email", "usable_password", "password1", "password2"),
            },
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        return [*fieldsets, (_("Transcripts"), {"fields": ("conversations_link",)})]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if _is_superuser(request) else (*fields, *POWERS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # Else whoever may edit people could give himself a superuser's or a reviewer's password.
        if obj not in (None, request.user) and _has_powers(obj) and not _is_superuser(request):
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    @admin.display(description=_("conversations"))
    def conversations_link(self, obj: User) -> str:
        url = reverse("admin:chat_conversation_changelist")
        query = urlencode({"user": obj.get_username()})
        text: str | Promise = _("All conversations of this user")
        return format_html('<a href="{}?{}">{}</a>', url, query, text)


class SuperusersWrite(admin.ModelAdmin):  # type: ignore[type-arg]  # no generic at run time
    """Others read, if they have the permission."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_superuser(request)


admin.site.unregister([Group, EmailAddress])


@admin.register(Group)
class GroupAdmin(SuperusersWrite, DjangoGroupAdmin):
    """A group may be one of reviewers, or become it."""


@admin.register(EmailAddress)
class EmailAddressAdmin(SuperusersWrite, AllauthEmailAddressAdmin):  # type: ignore[misc]
    """Where a new password is sent to."""


def _has_powers(user: User) -> bool:
    """Is he more than somebody who chats?"""
    may = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return user.is_staff or user.is_superuser or may.exists()


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))
