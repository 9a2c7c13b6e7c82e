"""The page behind the one-time link: whoever opens it first becomes the administrator."""

from django.contrib.auth import login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from chat.accounts import setup
from chat.accounts.forms import FirstAdministratorForm


@require_http_methods(["GET", "POST"])
@never_cache
@sensitive_post_parameters("password1", "password2")
def first_administrator(request: HttpRequest, token: str) -> HttpResponse:
    if not setup.is_valid(token):
        raise Http404
    form = FirstAdministratorForm(request.POST or None)
    if not form.is_valid():
        return render(request, "account/first_administrator.html", {"form": form})
    data = form.cleaned_data
    try:
        user = setup.create_first_administrator(data["username"], data["email"], data["password1"])
    except setup.AlreadySetUp:
        raise Http404 from None
    login(request, user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return redirect("/")
