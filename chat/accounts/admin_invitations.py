"""Invitations in the admin: make one, copy its link, see who came."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from chat.accounts import invitations
from chat.models import Invitation, User

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Invitation]
else:
    Base = admin.ModelAdmin


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("unused")), ("used", _("used")), ("expired", _("expired"))]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Invitation]
    ) -> QuerySet[Invitation]:
        match self.value():
            case "used":
                return queryset.filter(used_at__isnull=False)
            case "expired":
                return queryset.filter(used_at__isnull=True, expires_at__lte=timezone.now())
            case "open":
                return queryset.filter(used_at__isnull=True, expires_at__gt=timezone.now())
        return queryset


class InvitationAdmin(Base):
    list_display = ["__str__", "state", "created_by", "created_at", "expires_at", "used_by"]
    list_filter = [StateFilter]
    list_select_related = ["created_by", "used_by"]
    search_fields = ["note", "used_by__username", "created_by__username"]
    ordering = ["-created_at"]
    date_hierarchy = "created_at"

    def get_fields(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        if obj is None:
            return ["note", "expires_at"]
        return [
            "note",
            "expires_at",
            "sign_up_link",
            "created_by",
            "created_at",
            "used_by",
            "used_at",
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Invitation | None = None) -> list[str]:
        fields = ["sign_up_link", "created_by", "created_at", "used_by", "used_at"]
        # What was used is a record of who let whom in.
        return fields if obj is None or obj.used_at is None else ["note", "expires_at", *fields]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {
            "expires_at": invitations.default_expiry(),
            **super().get_changeform_initial_data(request),
        }

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Invitation | None:
        invitation = super().get_object(request, object_id, from_field)
        if invitation is not None:
            # A field's method sees the row only, and this admin serves many requests at once.
            invitation.link = invitations.link(request, invitation)  # type: ignore[attr-defined]
        return invitation

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        if not change:
            assert isinstance(request.user, User)
            obj.created_by = request.user
        super().save_model(request, obj, form, change)

    def response_add(
        self, request: HttpRequest, obj: Invitation, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the new invitation: its link is what it was made for."""
        if "_addanother" in request.POST or "_popup" in request.POST:
            return super().response_add(request, obj, post_url_continue)
        self.message_user(request, _("The invitation is ready. Copy its link below."))
        opts = self.opts
        name = f"{self.admin_site.name}:{opts.app_label}_{opts.model_name}_change"
        return HttpResponseRedirect(reverse(name, args=[obj.pk]))

    def has_delete_permission(self, request: HttpRequest, obj: Invitation | None = None) -> bool:
        used = obj is not None and obj.used_at is not None
        return not used and super().has_delete_permission(request, obj)

    @admin.display(description=_("state"))
    def state(self, invitation: Invitation) -> Any:
        if invitation.used_at is not None:
            return _("used")
        return _("expired") if invitation.expires_at <= timezone.now() else _("unused")

    @admin.display(description=_("sign-up link"))
    def sign_up_link(self, invitation: Invitation) -> Any:
        if invitation.used_at is not None:
            return _("Used. Make another one for the next person.")
        if invitation.expires_at <= timezone.now():
            return _("Expired. Move the date to make the link work again.")
        field = format_html(
            '<input class="vLargeTextField" type="text" readonly value="{}" aria-label="{}">',
            invitation.link,  # type: ignore[attr-defined]
            _("sign-up link"),
        )
        if settings.SIGNUP == "invite":
            return field
        return format_html("{}<p>{}</p>", field, _("Works while SIGNUP is set to invite."))
