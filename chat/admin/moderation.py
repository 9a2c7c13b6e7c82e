"""What an operator sets about moderation, each page with a box to try it out in.

A change holds for every message from then on; what was judged before is judged again
(``chat.remoderate``).
"""

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from chat import policy
from chat.admin.moderation_forms import ModerationRuleForm, PolicyRuleForm, TryForm
from chat.admin.trying import try_out, with_line, with_rule
from chat.models import Action, Direction, ModerationRule, PolicyRule, User
from chat.policy import Current

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = admin.ModelAdmin

TRY, TRY_REMOTE = "_try", "_try_remote"
PREFIX = "try"


class TryingAdmin(Base):
    """One whose pages have the box: on a form it tries what stands there, saved or not."""

    change_form_template = "admin/chat/moderation/change_form.html"
    change_list_template = "admin/chat/moderation/change_list.html"
    show_full_result_count = False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.try_view)
        return [path("try/", view, name=f"chat_{self.opts.model_name}_try"), *super().get_urls()]

    def try_view(self, request: HttpRequest) -> HttpResponse:
        """What holds now, tried out."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            **self._box(request),
            "opts": self.opts,
            "title": _("Try moderation"),
            "list_url": reverse(f"admin:chat_{self.opts.model_name}_changelist"),
        }
        if _tries(request):
            context |= self._tried(request, policy.current())
        return TemplateResponse(request, "admin/chat/moderation/try.html", context)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {**self._box(request), **(extra_context or {})})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        context = self._box(request)
        if _tries(request):
            context |= self._tried(request, self._as_written(request, object_id))
        return super().changeform_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if not _tries(request):
            return form

        class Tried(form):  # type: ignore[misc, valid-type]
            """Shown again as it was filled in, with its errors, and never saved."""

            def is_valid(self) -> bool:
                super().is_valid()
                return False

        return Tried

    def as_if_saved(self, obj: Any) -> Current:
        raise NotImplementedError

    def _as_written(self, request: HttpRequest, object_id: str | None) -> Current | None:
        """What would hold if the form were saved; None when it could not be."""
        obj = self.get_object(request, object_id) if object_id else None
        if not (
            self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        ):
            raise PermissionDenied
        form = super().get_form(request, obj, obj is not None)(request.POST, instance=obj)
        if not form.is_valid():
            return None
        return self.as_if_saved(form.save(commit=False))

    def _box(self, request: HttpRequest) -> dict[str, Any]:
        return {
            "box": TryForm(prefix=PREFIX),
            "try_url": reverse(f"admin:chat_{self.opts.model_name}_try"),
            "remote": policy.current().remote if self._may_send(request) else (),
        }

    def _may_send(self, request: HttpRequest) -> bool:
        """A remote backend costs, and is told the text: for those who may change things."""
        return self.has_change_permission(request)

    def _tried(self, request: HttpRequest, current: Current | None) -> dict[str, Any]:
        box = TryForm(request.POST, prefix=PREFIX)
        context: dict[str, Any] = {"box": box, "unusable": current is None}
        if box.is_valid() and current is not None:
            given = box.cleaned_data
            remote = TRY_REMOTE in request.POST and self._may_send(request)
            asker = cast(User, request.user).pk
            text, direction = given["text"], given["direction"]
            context["tried"] = try_out(text, direction, current, asker, remote=remote)
        return context


def _tries(request: HttpRequest) -> bool:
    return request.method == "POST" and (TRY in request.POST or TRY_REMOTE in request.POST)


@admin.register(ModerationRule)
class ModerationRuleAdmin(TryingAdmin):
    form = ModerationRuleForm
    list_display = ("name", "kind", "category", "direction", "score", "enabled", "changed_at")
    list_filter = ("enabled", "kind", "direction")
    search_fields = ("name", "category", "note")
    ordering = ("name",)
    readonly_fields = ("changed_by", "changed_at")

    def save_model(
        self, request: HttpRequest, obj: ModerationRule, form: Any, change: bool
    ) -> None:
        obj.changed_by_id = request.user.pk
        super().save_model(request, obj, form, change)

    def as_if_saved(self, obj: ModerationRule) -> Current:
        return with_rule(obj)


@admin.register(PolicyRule)
class PolicyRuleAdmin(TryingAdmin):
    form = PolicyRuleForm
    list_display = ("direction", "shown_category", "action", "threshold")
    list_display_links = ("shown_category",)
    ordering = ("direction", "category")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With what holds besides: an empty list is not a policy that lets everything pass."""
        default = policy.current().policy
        actions = zip(Direction, (default.default_input, default.default_output), strict=True)
        otherwise = [(direction.label, Action(action).label) for direction, action in actions]
        return super().changelist_view(request, {"otherwise": otherwise, **(extra_context or {})})

    @admin.display(description=_("category"), ordering="category")
    def shown_category(self, obj: PolicyRule) -> str:
        return obj.category or str(_("every other category"))

    def as_if_saved(self, obj: PolicyRule) -> Current:
        return with_line(obj)
