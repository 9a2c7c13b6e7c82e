"""The access log, legal holds and tombstones: read here, written elsewhere."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chat.admin.readonly import exactly, when
from chat.models import AccessEntry, LegalHold, Tombstone

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin


class CustodyAdmin(Base):
    actions = None
    change_form_template = "admin/chat/custody.html"
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    list_per_page = 100

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def history_view(self, *args: Any, **kwargs: Any) -> Any:
        raise PermissionDenied  # nobody writes here; and it would tell anybody what is there


@admin.register(AccessEntry)
class AccessEntryAdmin(CustodyAdmin):
    list_display = (
        "number",
        when("at", _("when")),
        "actor_name",
        "kind",
        "subject_name",
        "purpose",
        "conversation_id",
    )
    list_filter = ("kind",)
    fields = (
        "number",
        exactly("at", _("when")),
        "actor_name",
        "actor_id",
        "kind",
        "subject_name",
        "subject_id",
        "conversation_id",
        "purpose",
        "detail",
        "previous",
        "hash",
    )
    readonly_fields = fields
    search_fields = ("actor_name", "subject_name", "purpose", "=conversation_id")
    ordering = ("-number",)


@admin.register(LegalHold)
class LegalHoldAdmin(CustodyAdmin):
    list_display = (
        "reason",
        "user",
        "conversation_id",
        "placed_by",
        when("placed_at", _("placed")),
        when("released_at", _("released")),
    )
    list_select_related = ("user", "placed_by")
    search_fields = ("reason", "user__username")


@admin.register(Tombstone)
class TombstoneAdmin(CustodyAdmin):
    list_display = (
        "conversation_id",
        "owner",
        "messages",
        "replies",
        "reason",
        "purged_by",
        when("purged_at", _("purged")),
    )
    list_select_related = ("owner", "purged_by")
    search_fields = ("owner__username", "=conversation_id")
