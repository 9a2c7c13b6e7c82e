"""Durations as people read them."""

from django.utils.translation import gettext as _


def duration(milliseconds: float) -> str:
    if milliseconds < 1000:
        return _("%(milliseconds)s ms") % {"milliseconds": f"{milliseconds:.0f}"}
    value = milliseconds / 1000
    return _("%(seconds)s s") % {"seconds": f"{value:.1f}" if value < 10 else f"{value:.0f}"}
