"""A user's API keys: the list, a new one, the end of one."""

from dataclasses import dataclass
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from chat.api import keys
from chat.api.forms import ApiKeyForm
from chat.models import ApiKey, Conversation, Scope, User
from chat.views.people import signed_in

RECENT = 20  # conversations; older ones are found in the exports and by the reviewers


@dataclass(frozen=True, slots=True)
class Row:
    """A key as the list shows it."""

    key: ApiKey
    state: str
    usable: bool
    scopes: list[str]

    @classmethod
    def of(cls, key: ApiKey) -> "Row":
        scopes = [str(Scope(scope).label) for scope in key.scopes if scope in Scope.values]
        if key.revoked_at is not None:
            return cls(key, _("Revoked"), False, scopes)
        if key.expires_at is not None and key.expires_at <= timezone.now():
            return cls(key, _("Expired"), False, scopes)
        return cls(key, _("Active"), True, scopes)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
@sensitive_variables("key")
def api_keys(request: HttpRequest) -> HttpResponse:
    """The key is in the answer to the form and nowhere else: it is not kept, so no redirect."""
    user = signed_in(request)
    form = ApiKeyForm(request.POST if request.method == "POST" else None, label_suffix="")
    key, status = "", HTTPStatus.OK
    if form.is_valid():
        key = keys.make(user, form.cleaned_data["name"], days=form.days, scopes=form.chosen)
        form = ApiKeyForm(label_suffix="")
    elif form.is_bound:
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    context = {
        "form": form,
        "key": key,
        "rows": [Row.of(key) for key in _mine(user)],
        "conversations": _conversations(user),
        "base_url": request.build_absolute_uri("/v1"),
    }
    return render(request, "api_keys/index.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def revoke(request: HttpRequest, key_id: int) -> HttpResponse:
    """Asks first; the answer is a form of its own page, so that it works everywhere."""
    user = signed_in(request)
    found = _mine(user).filter(pk=key_id).first()
    if found is None:
        raise Http404
    if request.method == "POST":
        keys.revoke(user, key_id)
        messages.success(request, _("The key “%(name)s” is revoked.") % {"name": found})
        return redirect("api_keys")
    return render(request, "api_keys/revoke.html", {"key": found})


def _mine(user: User) -> "QuerySet[ApiKey]":
    return ApiKey.objects.filter(owner=user).order_by("-created_at", "-pk")


def _conversations(user: User) -> list[Conversation]:
    mine = Conversation.objects.present().filter(owner=user, api_key__isnull=False)
    return list(mine.select_related("api_key").order_by("-active_at")[:RECENT])
