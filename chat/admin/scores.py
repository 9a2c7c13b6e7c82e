"""A verdict's scores as a table."""

from django.template.loader import render_to_string

from chat.models import Verdict
from chat.review.scores import scores


def scores_html(verdict: Verdict) -> str:
    return render_to_string("admin/chat/conversation/_scores.html", {"scores": scores(verdict)})
