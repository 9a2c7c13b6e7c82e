"""Exports hold everything, harm no spreadsheet, prove themselves, and are on record."""

import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from chat import actions
from chat.models import (
    AccessEntry,
    AccessKind,
    Conversation,
    Generation,
    Purpose,
    State,
    ToolCall,
    User,
)
from chat.record import export, signing
from chat.record.checking import check
from chat.record.document import document
from chat.safe_csv import cell
from tests.admin.rows import judge, make_conversation, reply, say


def whole(pieces: AsyncIterator[bytes]) -> bytes:
    async def gather() -> bytes:
        return b"".join([piece async for piece in pieces])

    return async_to_sync(gather)()


@pytest.fixture
def conversation(ada: User) -> Conversation:
    """Two versions, one of them withheld, a failed reply, a tool call, and a title."""
    found = make_conversation(ada, "=Tides()")
    asked = say(found, "What makes the tides?", created_at=timezone.now())
    reply(asked, "@SUM(A1:A9) The moon.", reasoning="Thinking of it")
    hidden = reply(asked, "Something bad.", verdict="flagged", scores={"hate": 0.9}, withheld=True)
    ToolCall.objects.create(
        message=hidden,
        number=0,
        round=1,
        offset=0,
        call_id="call_1",
        name="calculator",
        arguments='{"expression": "1+1"}',
        parsed={"expression": "1+1"},
        state="done",
        result="2",
    )
    reply(say(found, "Again?", hidden), "", state=State.FAILED, error_kind="unavailable")
    Generation.objects.create(
        conversation=found, purpose=Purpose.TITLE, state=State.COMPLETE, model="m", calls=1
    )
    return found


def made(actor: User, selection: export.Selection, name: str = "Ada") -> zipfile.ZipFile:
    ordered = export.order(actor, selection, "An audit", anonymous=False)
    content = whole(export.for_review(ordered, lambda owner: name, lambda user: True))
    return zipfile.ZipFile(io.BytesIO(content))


def documents(archive: zipfile.ZipFile) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read("conversations.jsonl").splitlines()]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_missing(conversation: Conversation, bob: User) -> None:
    actions.delete(conversation.owner, conversation.pk)
    (one,) = documents(made(bob, export.Selection()))
    assert (one["owner"], one["title"], one["deleted"] is None) == ("Ada", "=Tides()", False)
    texts = [message["text"] for message in one["messages"]]
    assert texts == [
        "What makes the tides?",
        "@SUM(A1:A9) The moon.",
        "Something bad.",
        "Again?",
        "",
    ]
    hidden = one["messages"][2]
    assert hidden["withheld"]
    assert hidden["verdicts"][0]["categories"] == {"hate": 0.9}
    assert hidden["tool_calls"][0]["result"] == "2"
    assert one["messages"][4]["error"]["kind"] == "unavailable"
    assert len(one["titles"]) == 1
    assert one["messages"][1]["run"]["parameters"] == {"temperature": 0.7, "max_tokens": 512}
    assert one["messages"][1]["run"]["finished"] is not None
    assert one["titles"][0]["run"]["calls"] == 1


CONTRACT = {
    "role", "text", "reasoning", "tool_calls", "state", "finish_reason", "error", "model", "usage",
    "ttft", "verdict", "sha256", "stop_reason", "created",
}  # fmt: skip


def test_the_owner_s_export_has_every_field_of_every_message(conversation: Conversation) -> None:
    """A program that reads it need not ask what is there; and nothing of the reviewers' is."""
    found = document(conversation, lambda generation: "It failed.")
    for message in found["messages"]:
        assert message.keys() >= CONTRACT
        assert not {"verdicts", "review", "redactions", "reports", "run"} & message.keys()
    call = document(conversation, whole=True)["messages"][2]["tool_calls"][0]
    assert {"id", "name", "arguments", "parsed", "result", "state"} <= call.keys()
    assert found["messages"][4]["error"] == {"kind": "unavailable", "message": "It failed."}
    assert found["messages"][0] | {"state": "complete", "verdict": None} == found["messages"][0]


@pytest.mark.django_db(transaction=True)
def test_what_a_program_sent_is_exported_as_it_was_received(ada: User, bob: User) -> None:
    request = {"messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "function"}]}
    reply(say(make_conversation(ada), "Hi"), "Hello.", request=request)
    (one,) = documents(made(bob, export.Selection()))
    assert one["messages"][1]["run"]["request"] == request


@pytest.mark.django_db(transaction=True)
def test_the_table_has_the_verdict_on_a_question(conversation: Conversation, bob: User) -> None:
    asked = conversation.messages.order_by("pk")[0]
    judge(asked, "passed")
    judge(asked, "flagged", backend="openai")
    table = made(bob, export.Selection()).read("messages.csv").decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["verdict"] for row in rows[:4]] == ["flagged", "passed", "flagged", ""]
    assert (rows[4]["error"], rows[0]["came"]) == ("unavailable", "page")


@pytest.mark.django_db(transaction=True)
def test_no_cell_is_a_formula(conversation: Conversation, bob: User) -> None:
    table = made(bob, export.Selection()).read("messages.csv").decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == 5
    assert rows[0]["title"] == "'=Tides()"
    assert rows[1]["text"] == "'@SUM(A1:A9) The moon."
    assert not [value for row in rows for value in row.values() if value.startswith(tuple("=+-@"))]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-2", "'-2"),
        ("@cmd", "'@cmd"),
        ("\t=1", "'\t=1"),
        ("  =1", "'  =1"),
        ("\u00a0=1", "'\u00a0=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("﹦1", "'﹦1"),
        ("⁼1", "'⁼1"),
        ("﹢1", "'﹢1"),
        ("\u22121", "'\u22121"),
        ("\u3000=1", "'\u3000=1"),
        ("\u200b=1", "'\u200b=1"),
        ("\x0b\x0c=1", "'\x0b\x0c=1"),
        ("\x7f=1", "'\x7f=1"),
        ("\u202e@cmd", "'\u202e@cmd"),
        ("\nplain", "'\nplain"),
        ("\tplain", "'\tplain"),
        ("", ""),
        ("   ", "   "),
        (-2, -2),
        (1.5, 1.5),
        (None, ""),
        ("plain = text", "plain = text"),
        ("nul\0", "nul"),
    ],
)
def test_a_cell_that_begins_like_a_formula_is_text(value: object, expected: object) -> None:
    assert cell(value) == expected


@pytest.mark.django_db(transaction=True)
def test_the_manifest_proves_the_files(
    conversation: Conversation, bob: User, tmp_path: Path
) -> None:
    ordered = export.order(bob, export.Selection(), "An audit", anonymous=False)
    path = tmp_path / "export.zip"
    path.write_bytes(whole(export.for_review(ordered, lambda owner: "Ada", lambda user: True)))
    checked = check(path, signing.public_key())
    assert checked.problems == []
    entry = AccessEntry.objects.get(kind=AccessKind.EXPORT)
    assert checked.manifest["access_entry"] == {"number": entry.number, "hash": entry.hash}
    assert (checked.manifest["conversations"], checked.manifest["messages"]) == (1, 5)
    out = StringIO()
    call_command("verify_export", str(path), stdout=out)
    assert "1 conversations, 5 messages, exported by bob" in out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_an_export_breaks_off_when_the_right_to_it_is_gone(
    conversation: Conversation, bob: User
) -> None:
    ordered = export.order(bob, export.Selection(), "An audit", anonymous=False)
    with pytest.raises(export.Withdrawn):
        whole(export.for_review(ordered, lambda owner: "Ada", lambda user: False))


@pytest.mark.django_db(transaction=True)
def test_the_manifest_calls_people_what_the_files_do(
    conversation: Conversation, ada: User, bob: User
) -> None:
    archive = made(bob, export.Selection(owner=ada), name="Person 1")
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["selection"]["owner"] == "Person 1"


def rewritten(path: Path, **changes: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files |= {name.replace("_", "."): content for name, content in changes.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"messages_csv": b"nothing"}, "messages.csv is not the file that was exported"),
        ({"extra_txt": b"something"}, "extra.txt is not in the manifest"),
        ({"manifest_sig": b"AAAA"}, "the manifest is not signed with this key"),
        ({"manifest_json": b"{}"}, "the manifest is not signed with this key"),
        ({"manifest_json": b"[]"}, "it cannot be read"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_a_changed_export_is_found(
    conversation: Conversation,
    bob: User,
    tmp_path: Path,
    changes: dict[str, bytes],
    problem: str,
) -> None:
    ordered = export.order(bob, export.Selection(), "An audit", anonymous=False)
    path = tmp_path / "export.zip"
    path.write_bytes(whole(export.for_review(ordered, lambda owner: "Ada", lambda user: True)))
    rewritten(path, **changes)
    assert any(problem in found for found in check(path, signing.public_key()).problems)
    with pytest.raises(CommandError):
        call_command("verify_export", str(path), stderr=StringIO())


def test_another_key_s_signature_is_not_ours() -> None:
    other = "A" * 43 + "="
    assert signing.is_signed(b"x", signing.sign(b"x"), signing.public_key())
    assert not signing.is_signed(b"y", signing.sign(b"x"), signing.public_key())
    assert not signing.is_signed(b"x", signing.sign(b"x"), other)
    assert not signing.is_signed(b"x", "no base64!", signing.public_key())


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    path.write_text("hello")
    (problem,) = check(path, signing.public_key()).problems
    assert problem.startswith("it cannot be read")
    assert check(tmp_path / "nothing", signing.public_key()).problems


@pytest.mark.django_db(transaction=True)
def test_an_export_takes_what_was_chosen_and_is_on_record(
    conversation: Conversation, ada: User, bob: User
) -> None:
    other = make_conversation(bob, "Bob's")
    reply(say(other, "Hello?"), "Hi.")
    (one,) = documents(made(bob, export.Selection(owner=bob)))
    assert one["id"] == str(other.pk)
    (one,) = documents(made(bob, export.Selection(verdict="flagged")))
    assert one["id"] == str(conversation.pk)
    today = timezone.localdate()
    assert len(documents(made(bob, export.Selection(today, today)))) == 2
    tomorrow = today + timezone.timedelta(days=1)
    assert documents(made(bob, export.Selection(tomorrow))) == []
    entry = AccessEntry.objects.filter(kind=AccessKind.EXPORT).last()
    assert entry is not None
    assert (entry.actor_name, entry.subject_name, entry.purpose) == ("bob", "bob", "An audit")
    assert entry.detail["conversations"] == 1


# --- A person's own -------------------------------------------------------------------------------


def take(client: Client) -> list[dict[str, Any]]:
    response = client.post("/accounts/data/download")
    assert response["Content-Type"] == "application/zip"
    assert response["Content-Disposition"].startswith('attachment; filename="conversations-')
    content = whole(response.streaming_content)  # type: ignore[attr-defined]
    return documents(zipfile.ZipFile(io.BytesIO(content)))


@pytest.mark.django_db(transaction=True)
def test_people_take_their_own_and_no_more_than_they_see(
    conversation: Conversation, ada: User, bob: User, sign_in: Callable[[User], Client]
) -> None:
    (one,) = take(sign_in(ada))
    assert [message["text"] for message in one["messages"]][1:3] == ["@SUM(A1:A9) The moon.", ""]
    assert "verdicts" not in one["messages"][2]
    assert one["messages"][2]["tool_calls"] == []
    assert take(sign_in(bob)) == []
    actions.delete(ada, conversation.pk)
    assert take(sign_in(ada)) == []


@pytest.mark.django_db(transaction=True)
def test_people_delete_all_of_their_own(
    conversation: Conversation, ada: User, bob: User, sign_in: Callable[[User], Client]
) -> None:
    kept = make_conversation(bob)
    client = sign_in(ada)
    refused = client.post("/accounts/data/")
    assert refused.status_code == 422
    assert b"Tick the box if you mean it." in refused.content
    done = client.post("/accounts/data/", {"sure": "on"}, follow=True)
    assert b"1 conversation was deleted." in done.content
    present = Conversation.objects.present()
    assert list(present.values_list("pk", flat=True)) == [kept.pk]


@pytest.mark.parametrize(
    ("policy", "days", "said"),
    [
        ("retain", None, "Reviewers keep the record of it."),
        ("purge", None, "erased soon"),
        ("30", None, "erased after 30 days"),
        ("retain", 90, "not used for 90 days"),
    ],
)
def test_the_page_says_what_becomes_of_it(
    ada: User,
    sign_in: Callable[[User], Client],
    settings: Any,
    policy: str,
    days: int | None,
    said: str,
) -> None:
    settings.DELETE_POLICY, settings.RETENTION_DAYS = policy, days
    assert said in sign_in(ada).get("/accounts/data/").content.decode()


def test_strangers_are_asked_to_sign_in(db: None) -> None:
    assert Client().get("/accounts/data/").status_code == 302
    assert Client().post("/accounts/data/download").status_code == 302
