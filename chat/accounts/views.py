"""allauth's views with our forms, and what our pages have to know besides."""

from typing import Any

from allauth.account import views
from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.messages.views import SuccessMessageMixin
from django.db import IntegrityError
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy
from django.views.generic import UpdateView

from chat.accounts import forms, invitations
from chat.models import User


class LoginView(views.LoginView):  # type: ignore[misc]
    form_class = forms.LoginForm

    def get_context_data(self, **kwargs: Any) -> Any:
        return super().get_context_data(**kwargs) | {"nobody_yet": not User.objects.exists()}


class SignupView(views.SignupView):  # type: ignore[misc]
    form_class = forms.SignupForm

    def get_initial(self) -> Any:
        return super().get_initial() | {invitations.PARAMETER: invitations.given(self.request)}

    def form_valid(self, form: forms.SignupForm) -> Any:
        try:
            return super().form_valid(form)
        except invitations.Unusable:
            return self.closed()
        except IntegrityError:  # the name was free when the form was checked
            form.add_error("username", get_adapter().validation_error("username_taken"))
            form.lead_to_error()
            return self.form_invalid(form)


class PasswordResetView(views.PasswordResetView):  # type: ignore[misc]
    form_class = forms.ResetPasswordForm

    def get_context_data(self, **kwargs: Any) -> Any:
        return super().get_context_data(**kwargs) | {"sends_mail": bool(settings.EMAIL_URL)}


class PasswordResetDoneView(views.PasswordResetDoneView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> Any:
        return super().get_context_data(**kwargs) | {"sends_mail": bool(settings.EMAIL_URL)}


class PasswordResetFromKeyView(views.PasswordResetFromKeyView):  # type: ignore[misc]
    form_class = forms.ResetPasswordKeyForm
    success_url = reverse_lazy("account_login")


class PasswordChangeView(views.PasswordChangeView):  # type: ignore[misc]
    form_class = forms.ChangePasswordForm


class PasswordSetView(views.PasswordSetView):  # type: ignore[misc]
    form_class = forms.SetPasswordForm


class PreferencesView(LoginRequiredMixin, SuccessMessageMixin, UpdateView):  # type: ignore[type-arg]
    """What a person decides for himself, as far as the operator lets him."""

    form_class = forms.PreferencesForm
    template_name = "account/preferences.html"
    success_url = reverse_lazy("preferences")
    success_message = gettext_lazy("Your preferences are saved.")

    def get_object(self, queryset: Any = None) -> User:
        assert isinstance(self.request.user, User)
        return self.request.user


class ReauthenticateView(views.ReauthenticateView):  # type: ignore[misc]
    form_class = forms.ReauthenticateForm
