"""What every template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    return {"SIGNUP": settings.SIGNUP, "ASSISTANT_NAME": settings.ASSISTANT_NAME}
