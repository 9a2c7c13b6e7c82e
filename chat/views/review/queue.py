"""The reviewers' lists: tabs with counts, filters, search; refreshed while they are open."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chat.forms_review import FilterForm
from chat.models import AccessKind
from chat.record import access_log
from chat.review import who
from chat.review.listing import TABS, Listing, counts, listing
from chat.views.answers import by_htmx
from chat.views.people import signed_in
from chat.views.review.door import for_reviewers, is_hidden


@for_reviewers
@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """The page; to htmx, what of it changes by itself."""
    reviewer = signed_in(request)
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "open"
    hidden = is_hidden(request)
    form = FilterForm(request.GET, hidden=hidden)
    wanted = form.wanted
    found = listing(reviewer, tab, wanted, _page(request), hidden=hidden)
    if wanted.get("q"):
        _record(request, wanted["q"], found)
    counted = counts(reviewer)
    context = {
        "tab": tab,
        "tabs": [(name, label, counted.get(name)) for name, (label, _rows) in TABS.items()],
        "to_decide": counted["open"],
        "form": form,
        "listing": found,
        "hidden": hidden,
        "here": request.get_full_path(),
        "may_export": who.granted(reviewer, who.EXPORT),
        "may_hold": who.granted(reviewer, who.HOLD),
    }
    template = "review/_queue.html" if by_htmx(request) else "review/queue.html"
    return render(request, template, context)


def _page(request: HttpRequest) -> int:
    given = request.GET.get("page", "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 8 else 1


def _record(request: HttpRequest, typed: str, found: Listing) -> None:
    """A search shows passages of what was said, so the access log says which.

    Not the words: they may be those that are purged one day, and the log stays. By its fingerprint
    a search that is suspected can be confirmed.
    """
    shown = [row.message.pk for row in found.rows]
    detail = {"messages": shown, "query": access_log.fingerprint(typed)}
    access_log.note(signed_in(request), AccessKind.SEARCH, detail=detail)
