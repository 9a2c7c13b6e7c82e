"""A record that was changed by hand is found; one that was not is not."""

import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from chat import reconcile
from chat.models import Generation, Message, User
from chat.record.access_log import FIRST
from chat.verification import GRACE, verify
from tests.talk import talk


@pytest.fixture
def proven(ada: User) -> Message:
    message = talk(ada, "As it was.")[2]
    reconcile.write(Generation.objects.get(message=message), reconcile.whole_of(message), {})
    return message


def run() -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("verify", stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_an_untouched_record_is_proven(proven: Message) -> None:
    out, err = run()
    receipts, chain = out.splitlines()
    assert receipts == "1 receipts, 0 findings, 0 replies without a receipt, 0 redacted"
    assert chain == f"access log: 0 entries, the last one's hash {FIRST}"
    assert err == ""


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"text": "As it never was."}, "the text is not the one"),
        ({"text": ""}, "the text is not the one"),
    ],
)
def test_a_text_that_was_changed_is_found(
    proven: Message, change: dict[str, str], what: str
) -> None:
    Message.objects.filter(pk=proven.pk).update(**change)
    (finding,) = verify().findings
    assert (finding.message_id, what in finding.what) == (proven.pk, True)
    assert uuid.UUID(finding.conversation_id) == proven.conversation_id
    with pytest.raises(CommandError):
        run()


def test_a_state_that_was_changed_is_found(proven: Message) -> None:
    Generation.objects.filter(message=proven).update(state="stopped")
    (finding,) = verify().findings
    assert finding.what == "the receipt says complete, the reply stopped"


def test_a_reply_without_a_receipt_is_counted_once_it_should_have_one(ada: User) -> None:
    message = talk(ada, "Unproven.")[2]
    assert verify().missing == 0
    late = timezone.now() - 2 * GRACE
    Generation.objects.filter(message=message).update(finished_at=late)
    assert verify().missing == 1
    with pytest.raises(CommandError):
        run()
