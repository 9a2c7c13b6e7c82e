"""Liveness and readiness, for monitors and load balancers."""

from http import HTTPStatus

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat import services, sweeper


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Touches nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """May traffic be sent here? A reason for each dependency; 503 when one of them says no.

    A local model that loads, or a Redis that is away, does not make the process unready: people can
    read and write meanwhile.
    """
    checks: dict[str, str] = {}
    backlog: dict[str, int] = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        backlog = sweeper.backlog()
        checks["database"] = "ok"
    except DatabaseError as error:
        checks["database"] = f"unavailable: {type(error).__name__}"
    checks["serving"] = "draining" if services.is_draining() else "ok"
    ready = all(reason == "ok" for reason in checks.values())
    checks["model"] = str(services.readiness())
    if settings.REDIS_URL:
        # Without it pages are served and answers queued; only live text has to wait.
        checks["redis"] = "ok" if services.log_available() else "unavailable"
    status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
    return JsonResponse({"ready": ready, "checks": checks, "backlog": backlog}, status=status)
