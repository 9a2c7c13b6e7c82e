"""The operator's pages: status, with its streaming test, and metrics, with usage as CSV."""

import json
from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_safe

from chat.delivery.echo import PATH as ECHO_PATH
from chat.models import Transport
from chat.operate import dashboard, measures, process, spending, stream
from chat.operate.periods import PERIODS, asked
from chat.operate.tables import tables
from chat.operate.tiles import tiles
from chat.operate.who import may_see_status
from chat.views.answers import by_htmx
from chat.views.health import readyz
from chat.views.people import signed_in

View = Callable[[HttpRequest], HttpResponseBase]


def _for_operators(view: View) -> View:
    """To everybody else who is signed in there is nothing here."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponseBase:
        if not may_see_status(signed_in(request)):
            raise Http404
        return view(request)

    return guarded


@_for_operators
@require_safe
@never_cache
def status(request: HttpRequest) -> HttpResponse:
    """The page; to htmx, the tables of it."""
    now = timezone.now()
    ready = json.loads(readyz(request).content)  # in its own words, whatever it looks at
    checks = ready["checks"]
    if settings.REDIS_URL:
        checks.setdefault("redis", process.redis())
    context = {
        "now": now,
        "ready": ready["ready"],
        "tables": tables(checks, now),
        "echo_path": f"/{ECHO_PATH}",
    }
    template = "operate/_figures.html" if by_htmx(request) else "operate/status.html"
    return render(request, template, context)


@_for_operators
@require_GET
def stream_test(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(
        stream.pieces(),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"},
    )


@_for_operators
@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """``range``, ``model`` and ``transport`` choose what is shown."""
    wanted = asked(request.GET, timezone.now())
    timings, ended = measures.timings(wanted), measures.ended(wanted)
    charts = dashboard.charts(wanted, timings, ended)
    spendings = [spending.spending(by, wanted, ended) for by in spending.WAYS]
    if not timings.replies:  # said once, not in each of them
        charts = [chart for chart in charts if not chart.is_empty]
        spendings = [one for one in spendings if one.rows]
    models = measures.models(wanted)
    context = {
        "asked": wanted,
        "periods": [(slug, period.name) for slug, period in PERIODS.items()],
        # One that was chosen and is not there is an answer too: nothing.
        "models": models if wanted.model in ("", *models) else [wanted.model, *models],
        "transports": Transport.choices,
        "timings": timings,
        "tiles": tiles(timings, ended),
        "charts": charts,
        "data": [chart.data() for chart in charts if not chart.is_empty],
        "spendings": spendings,
        "query": request.GET.urlencode(),
    }
    return render(request, "operate/metrics.html", context)


@_for_operators
@require_safe
@never_cache
def usage_csv(request: HttpRequest) -> HttpResponse:
    """Usage and cost ``by`` day, user or group."""
    by = request.GET.get("by", "day")
    if by not in spending.WAYS:
        raise Http404
    wanted = asked(request.GET, timezone.now())
    text = spending.as_csv(spending.spending(by, wanted, measures.ended(wanted)))
    name = f"parley-usage-by-{by}-{wanted.now:%Y-%m-%d}.csv"
    return HttpResponse(
        text,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
