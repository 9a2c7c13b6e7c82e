"""What becomes of people's conversations here, in sentences for the people."""

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chat.record.purge import deletion_days


def of_deletion() -> str:
    """What deleting a conversation does."""
    days = deletion_days()
    if days is None:
        return _("What you delete leaves your list. Reviewers keep the record of it.")
    if days == 0:
        return _("What you delete is erased soon, once reviewers are done with it.")
    text = ngettext(
        "What you delete leaves your list, and is erased after %(days)d day.",
        "What you delete leaves your list, and is erased after %(days)d days.",
        days,
    )
    return text % {"days": days}


def of_retention() -> str:
    """How long conversations are kept."""
    days = settings.RETENTION_DAYS
    if days is None:
        return _("Conversations are kept until they are deleted.")
    text = ngettext(
        "Conversations are erased when they were not used for %(days)d day.",
        "Conversations are erased when they were not used for %(days)d days.",
        days,
    )
    return text % {"days": days}
