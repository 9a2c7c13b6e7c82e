"""API keys: who has which, when it was used; an administrator can revoke, not make or read one."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chat.models import ApiKey

if TYPE_CHECKING:
    Base = admin.ModelAdmin[ApiKey]
else:
    Base = admin.ModelAdmin


@admin.register(ApiKey)
class ApiKeyAdmin(Base):
    list_display = (
        "__str__",
        "shown",
        "owner",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_select_related = ("owner",)
    search_fields = ("name", "shown", "owner__username")
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    fields = (
        "name",
        "shown",
        "owner",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    readonly_fields = fields
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # whoever makes a key for somebody else could be him

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # transcripts name the key that they came with

    @admin.action(description=_("Revoke the selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        count = queryset.filter(revoked_at=None).update(revoked_at=timezone.now())
        text = ngettext("%(count)d key is revoked.", "%(count)d keys are revoked.", count)
        self.message_user(request, text % {"count": count})
