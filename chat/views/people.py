"""Who is asking, typed."""

from django.http import HttpRequest

from chat.models import User


def signed_in(request: HttpRequest) -> User:
    """The user of a request that ``login_required`` has let through."""
    assert isinstance(request.user, User)
    return request.user
