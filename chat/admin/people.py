"""The people: added and edited here, never deleted, for their transcripts are kept."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
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
        # Else whoever may edit people could give himself a superuser's password.
        if obj is not None and obj.is_superuser and not _is_superuser(request):
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


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))
