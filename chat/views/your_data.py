"""A person's own data: what is kept, all of it as a download, and the end of it."""

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from chat import actions
from chat.delivery.page import notice
from chat.models import Conversation
from chat.record import export, policy
from chat.views.people import signed_in


class DeleteAllForm(forms.Form):
    sure = forms.BooleanField(
        label=gettext_lazy("Delete all my conversations"),
        error_messages={"required": gettext_lazy("Tick the box if you mean it.")},
    )


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def your_data(request: HttpRequest) -> HttpResponse:
    """The page; a POST deletes all conversations."""
    user = signed_in(request)
    form = DeleteAllForm(request.POST if request.method == "POST" else None, label_suffix="")
    if form.is_valid():
        count = actions.delete_all(user)
        text = ngettext(
            "%(count)d conversation was deleted.", "%(count)d conversations were deleted.", count
        )
        messages.success(request, text % {"count": count})
        return redirect("your_data")
    context = {
        "form": form,
        "conversations": Conversation.objects.present().filter(owner=user).count(),
        "deletion": policy.of_deletion(),
        "retention": policy.of_retention(),
    }
    return render(request, "account/your_data.html", context, status=422 if form.is_bound else 200)


@require_POST
@login_required
def download(request: HttpRequest) -> StreamingHttpResponse:
    """Everything as one archive, made while it is sent."""
    user = signed_in(request)
    response = StreamingHttpResponse(export.own(user.pk, notice), content_type="application/zip")
    name = _("conversations")
    day = timezone.localdate().isoformat()
    response["Content-Disposition"] = f'attachment; filename="{name}-{day}.zip"'
    response["X-Accel-Buffering"] = "no"
    return response
