"""``/metrics``, for Prometheus and those that speak as it does."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client.exposition import choose_encoder

from chat.metrics.collector import REGISTRY
from chat.metrics.who import may_scrape


def metrics(request: HttpRequest) -> HttpResponse:
    """To whom it is not for, there is nothing here."""
    if not may_scrape(request):
        raise Http404
    return _exposition(request)


@never_cache
@require_safe
def _exposition(request: HttpRequest) -> HttpResponse:
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(REGISTRY), content_type=content_type)
