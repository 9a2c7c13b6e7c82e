"""Tool servers: how they are reached, and which tools they said they have.

For superusers only, for the command of a server is run on this machine.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from chat.admin.tool_server_form import ToolServerForm
from chat.models import ToolServer
from chat.review.badges import NOTHING
from chat.tools.servers.listing import refresh

if TYPE_CHECKING:
    Base = admin.ModelAdmin[ToolServer]
else:
    Base = admin.ModelAdmin

WITHIN_S = 8.0  # a page that waits longer looks broken; `manage.py tool_servers` waits longer


@admin.register(ToolServer)
class ToolServerAdmin(Base):
    form = ToolServerForm
    list_display = ("name", "transport", "enabled", "tools", "listed_at", "problem")
    list_filter = ("enabled", "transport")
    ordering = ("name",)
    actions = ("list_tools",)
    show_full_result_count = False
    readonly_fields = ("listed_at", "problem", "listed_tools")
    fieldsets = (
        (None, {"fields": ("name", "transport", "timeout_s", "enabled")}),
        (_("A program on this machine"), {"fields": ("command", "arguments", "environment")}),
        (_("A server at an address"), {"fields": ("url", "headers")}),
        (_("What it has"), {"fields": ("listed_at", "problem", "listed_tools")}),
    )

    def save_model(self, request: HttpRequest, obj: ToolServer, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if obj.enabled:
            # Not before the commit: it takes seconds, and other writers would wait for us.
            transaction.on_commit(partial(self._refresh, request, obj))

    @admin.action(description=_("List the tools of the selected servers"))
    def list_tools(self, request: HttpRequest, queryset: QuerySet[ToolServer]) -> None:
        for server in queryset:
            self._refresh(request, server)

    def _refresh(self, request: HttpRequest, server: ToolServer) -> None:
        refresh(server, within_s=WITHIN_S)
        if server.problem:
            self.message_user(request, server.problem, messages.WARNING)
            return
        names = ", ".join(entry["name"] for entry in server.listed)
        count = len(server.listed)
        text = ngettext(
            "%(n)s tool of %(server)s: %(names)s", "%(n)s tools of %(server)s: %(names)s", count
        )
        self.message_user(request, text % {"server": server.name, "n": count, "names": names[:500]})

    @admin.display(description=_("tools"))
    def tools(self, obj: ToolServer) -> int:
        return len(obj.listed)

    @admin.display(description=_("tools"))
    def listed_tools(self, obj: ToolServer) -> str:
        if not obj.listed:
            return NOTHING
        rows = ((entry["name"], entry["description"][:200]) for entry in obj.listed)
        return format_html("<ul>{}</ul>", format_html_join("", "<li><b>{}</b> {}</li>", rows))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: ToolServer | None = None) -> bool:
        return _is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: ToolServer | None = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: ToolServer | None = None) -> bool:
        return _is_superuser(request)


def _is_superuser(request: HttpRequest) -> bool:
    user = request.user
    return user.is_active and bool(getattr(user, "is_superuser", False))
