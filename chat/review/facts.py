"""What is known of a generation and of its receipt, as terms with their descriptions."""

import hashlib
import json
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from chat.models import Generation, Message, Receipt
from chat.review.badges import DIFFERS, LABELS, MATCHES, REDACTED, Badge
from chat.review.units import count, duration, moment, rate

LONG_CODE = 36  # characters, more than a UUID, that take a line of their own


class Fact(NamedTuple):
    term: str | Promise
    value: str | Promise
    code: bool = False  # shown as it is, in a fixed-width font

    @property
    def wide(self) -> bool:
        return self.code and len(str(self.value)) > LONG_CODE


def proof(receipt: Receipt, message: Message) -> Badge:
    """The receipt, or what the last redaction left, held against the text as it is stored now."""
    redactions = list(message.redactions.all())
    expected = redactions[-1].sha256_after if redactions else receipt.sha256
    if hashlib.sha256(message.text.encode()).hexdigest() != expected:
        return DIFFERS
    return REDACTED if redactions else MATCHES


def headline(generation: Generation) -> list[Fact]:
    """The few numbers under a reply."""
    about = generation.tokens_estimated
    facts = [
        Fact(_("Model"), generation.model),
        Fact(_("TTFT, provider"), duration(generation.ttft_provider_ms)),
        Fact(_("TTFT, served"), duration(generation.ttft_served_ms)),
        Fact(_("Speed"), rate(generation.tokens_per_second, estimated=about)),
        Fact(_("Tokens"), count(generation.completion_tokens, estimated=about)),
    ]
    return [fact for fact in facts if fact.value]


def generation_facts(generation: Generation) -> list[Fact]:
    """What the headline has not said already."""
    about = generation.tokens_estimated
    total = None
    if generation.finished_at:
        total = (generation.finished_at - generation.created_at).total_seconds() * 1000
    facts = [
        Fact(_("State"), LABELS.get(generation.state, generation.state)),
        Fact(_("Stop reason"), generation.stop_reason),
        Fact(_("Finish reason"), generation.finish_reason),
        Fact(_("Model"), generation.model),
        Fact(_("Parameters"), parameters(generation), code=True),
        Fact(_("Assistant"), str(generation.assistant or "")),
        Fact(_("Instructions"), instructions(generation), code=True),
        Fact(_("Tools"), ", ".join(generation.assistant.tools) if generation.assistant else ""),
        Fact(_("Prompt tokens"), count(generation.prompt_tokens)),
        Fact(_("Completion tokens"), count(generation.completion_tokens, estimated=about)),
        Fact(_("Reasoning tokens"), count(generation.reasoning_tokens)),
        Fact(_("TTFT, provider"), duration(generation.ttft_provider_ms)),
        Fact(_("TTFT, served"), duration(generation.ttft_served_ms)),
        Fact(_("Thinking time"), duration(generation.thinking_ms)),
        Fact(_("Writing time"), duration(generation.writing_ms)),
        Fact(_("Total time"), duration(total)),
        Fact(_("Created"), moment(generation.created_at)),
        Fact(_("Requested"), moment(generation.requested_at)),
        Fact(_("Finished"), moment(generation.finished_at)),
        Fact(_("Reconciled"), moment(generation.reconciled_at)),
        Fact(_("Provider calls"), count(generation.calls)),
        Fact(_("Request id"), generation.request_id, code=True),
    ]
    return [fact for fact in facts if fact.value]


def receipt_facts(receipt: Receipt) -> list[Fact]:
    facts = [
        Fact(_("SHA-256"), receipt.sha256, code=True),
        Fact(_("State"), LABELS.get(receipt.state, receipt.state)),
        Fact(_("Finish reason"), receipt.finish_reason),
        Fact(_("Verdict"), receipt.get_verdict_display()),
        Fact(_("Schema verdict"), receipt.schema_verdict),
        Fact(_("Characters"), count(receipt.characters)),
        Fact(_("Prompt tokens"), count(receipt.prompt_tokens)),
        Fact(_("Completion tokens"), count(receipt.completion_tokens)),
        Fact(_("TTFT, provider"), duration(receipt.ttft_provider_ms)),
        Fact(_("TTFT, served"), duration(receipt.ttft_served_ms)),
        Fact(_("Written"), moment(receipt.written_at)),
    ]
    return [fact for fact in facts if fact.value]


def instructions(generation: Generation) -> str:
    """What its assistant told the model at that time."""
    return generation.assistant.instructions if generation.assistant else ""


def parameters(generation: Generation) -> str:
    """``temperature 0.7, top_p 1``: each as JSON, for what a stranger sent may be anything.

    Sorted: PostgreSQL does not keep the order of a JSON object's keys.
    """
    given = generation.parameters
    if not isinstance(given, dict):
        return json.dumps(given, ensure_ascii=False)
    return ", ".join(f"{k} {json.dumps(v, ensure_ascii=False)}" for k, v in sorted(given.items()))
