"""The reviewers' lists: tabs with counts, filters, search; refreshed while they are open."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from chat.forms_review import FilterForm
from chat.models import AccessKind, Message
from chat.record import access_log
from chat.review import opening, who
from chat.review.filters import categories
from chat.review.listing import TABS, counts, listing, next_to_decide
from chat.views.answers import by_htmx
from chat.views.people import signed_in
from chat.views.review.door import for_reviewers, is_hidden, to_message


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
    _record(request, wanted, [row.message.pk for row in found.rows])
    counted = counts(reviewer)
    context = {
        "tab": tab,
        "tabs": [(name, label, counted.get(name)) for name, (label, _rows) in TABS.items()],
        "to_decide": counted["open"],
        "form": form,
        "chosen": _chosen(request, form),
        "listing": found,
        "hidden": hidden,
        "here": request.get_full_path(),
        "may_export": who.granted(reviewer, who.EXPORT),
        "may_hold": who.granted(reviewer, who.HOLD),
    }
    if by_htmx(request):
        return render(request, "review/_queue.html", context)
    return render(request, "review/queue.html", {**context, "categories": categories()})


@for_reviewers
@require_safe
def following(request: HttpRequest) -> HttpResponse:
    """On to what follows a message, ``after``, in the list that the reviewer works through."""
    hidden = is_hidden(request)
    wanted = FilterForm(request.GET, hidden=hidden).wanted
    seen = Message.objects.select_related("review")
    after = seen.filter(pk=_number(request, "after") or 0).first()
    tab = request.GET.get("tab", "")
    found = next_to_decide(signed_in(request), tab, wanted, after, hidden=hidden)
    _record(request, wanted, [found.pk] if found else [])
    if found is None:
        messages.info(request, _("Nothing else waits in that list."))
        return redirect("review")
    return to_message(found.conversation_id, found.pk)


def _page(request: HttpRequest) -> int:
    return _number(request, "page") or 1


def _number(request: HttpRequest, name: str) -> int | None:
    given = request.GET.get(name, "")
    return int(given) if opening.NUMBER.fullmatch(given) else None


def _chosen(request: HttpRequest, form: FilterForm) -> list[tuple[Any, str, str]]:
    """The filters that are on: what each is called, what was chosen, the list without it."""
    found = []
    for name, label, value in form.chosen:
        query = request.GET.copy()
        for gone in (name, "page"):
            query.pop(gone, None)
        found.append((label, value, query.urlencode()))
    return found


def _record(request: HttpRequest, wanted: dict[str, Any], shown: list[int]) -> None:
    """A search shows passages of what was said, so the access log says which.

    Not the words: they may be those that are purged one day, and the log stays. By its fingerprint
    a search that is suspected can be confirmed.
    """
    if not wanted.get("q"):
        return
    detail = {"messages": shown, "query": access_log.fingerprint(wanted["q"])}
    access_log.note(signed_in(request), AccessKind.SEARCH, detail=detail)
