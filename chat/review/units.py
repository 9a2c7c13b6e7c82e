"""Numbers, times and texts as an operator reads them."""

from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _


def duration(milliseconds: float | None) -> str:
    """Milliseconds up to one second, seconds above; empty when unknown."""
    if milliseconds is None:
        return ""
    if milliseconds < 1000:
        return _("%(number)s ms") % {"number": f"{milliseconds:.0f}"}
    return _("%(number)s s") % {"number": f"{milliseconds / 1000:,.2f}"}


def moment(value: datetime | None) -> str:
    """To the second and with its zone: a record is compared with other logs."""
    return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S %Z}" if value else ""


def minute(value: datetime | None) -> str:
    """For lists, where the seconds and the zone only take space."""
    return f"{timezone.localtime(value):%Y-%m-%d %H:%M}" if value else ""


def count(value: int | None, *, estimated: bool = False) -> str:
    if value is None:
        return ""
    return f"{'≈ ' if estimated else ''}{value:,}"


def rate(per_second: float | None, *, estimated: bool = False) -> str:
    if per_second is None:
        return ""
    number = f"{'≈ ' if estimated else ''}{per_second:.1f}"
    return _("%(number)s tokens/s") % {"number": number}


def plain(text: str) -> str:
    """A text as it is stored, every space and line of it."""
    return format_html('<pre class="as-stored">{}</pre>', text) if text else "–"
