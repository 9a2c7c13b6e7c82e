"""The pages of assistants: the list, one of them, its versions, the form."""

from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from chat import access, assistants
from chat.forms_assistants import AssistantForm
from chat.models import Assistant, AssistantVersion
from chat.views.assistant_facts import changes, facts, schema_text
from chat.views.people import signed_in


@require_safe
@login_required
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    seen = access.assistants_to_use(user.pk).prefetch_related("groups")
    mine = [assistant for assistant in seen if assistant.owner_id == user.pk]
    others = [assistant for assistant in seen if assistant.owner_id != user.pk]
    return render(request, "assistants/index.html", {"mine": mine, "others": others})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def new(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = AssistantForm(user, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _form(request, form)
    who = form.cleaned_data["visibility"], form.cleaned_data["groups"]
    assistant = assistants.create(user, form.instance, *who)
    messages.success(request, _("The assistant is saved."))
    return redirect("assistant", assistant.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def edit(request: HttpRequest, assistant_id: int) -> HttpResponse:
    user = signed_in(request)
    assistant = access.assistant_to_write(user.pk, assistant_id)
    data = request.POST if request.method == "POST" else None
    form = AssistantForm(user, data, assistant=assistant)
    if not form.is_valid():
        return _form(request, form, assistant)
    who = form.cleaned_data["visibility"], form.cleaned_data["groups"]
    saved = assistants.save(user, assistant_id, form.instance, *who)
    if saved.newest_id != assistant.newest_id and saved.newest:
        said = _("Saved as version %(number)s.") % {"number": saved.newest.number}
    else:
        said = _("Saved. The version is the same.")
    messages.success(request, said)
    return redirect("assistant", assistant_id)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def archive(request: HttpRequest, assistant_id: int) -> HttpResponse:
    """Asks first, on a page of its own, which works without scripts."""
    user = signed_in(request)
    assistant = access.assistant_to_write(user.pk, assistant_id)
    if request.method == "POST":
        assistants.archive(user, assistant_id)
        said = _("“%(name)s” is archived.") % {"name": assistant}
        messages.success(request, said)
        return redirect("assistants")
    return render(request, "assistants/archive.html", {"assistant": assistant})


@require_safe
@login_required
@never_cache
def assistant(request: HttpRequest, assistant_id: int) -> HttpResponse:
    found = access.assistant_to_read(signed_in(request).pk, assistant_id)
    assert found.newest is not None
    return _page(request, found, found.newest)


@require_safe
@login_required
@never_cache
def version(request: HttpRequest, assistant_id: int, number: int) -> HttpResponse:
    """A version as it was, and what is different from the one before."""
    found = access.version_to_read(signed_in(request).pk, assistant_id, number)
    return _page(request, found.assistant, found, old=True)


def _form(
    request: HttpRequest, form: AssistantForm, assistant: Assistant | None = None
) -> HttpResponse:
    status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
    context = {"form": form, "assistant": assistant}
    return render(request, "assistants/form.html", context, status=status)


def _page(
    request: HttpRequest, assistant: Assistant, version: AssistantVersion, old: bool = False
) -> HttpResponse:
    user = signed_in(request)
    # Who may read only the version that has answered him sees nothing of the others.
    all_of_it = access.may_read_assistant(user.pk, assistant.pk)
    usable = access.assistants_to_use(user.pk).filter(pk=assistant.pk).exists()
    versions = assistant.versions.select_related("made_by").order_by("-number")
    before = versions.filter(number__lt=version.number).first() if old and all_of_it else None
    context: dict[str, Any] = {
        "assistant": assistant,
        "version": version,
        "old": old,
        "is_newest": version.pk == assistant.newest_id,
        "facts": facts(version),
        "schema": schema_text(version),
        "versions": versions if all_of_it else [],
        "before": before,
        "changes": changes(before, version) if before else [],
        "usable": usable,
        "owned": assistant.owner_id == user.pk,
    }
    return render(request, "assistants/assistant.html", context)
