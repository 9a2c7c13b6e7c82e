"""Edit, regenerate, continue, choose: beside the old or behind it, never over it."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import LazySettings
from django.db import connection
from django.http import Http404
from django.utils import timezone

from chat import actions, branches
from chat.actions import Rejected
from chat.models import Conversation, Generation, Message, State, User
from chat.worker.claim import claim
from chat.worker.history import CONTINUE
from tests.talk import ask, end, talk


def edit(user: User, message: Message, text: str = "Edited", key: str = "") -> actions.Sent:
    key = key or uuid.uuid4().hex
    return branches.edit(user, message.conversation_id, message.pk, text, key)


def shown(conversation: uuid.UUID) -> list[str]:
    return [message.text for message in Conversation.objects.get(pk=conversation).branch()]


# Edit


def test_an_edited_message_stands_beside_the_old_one_with_a_reply_of_its_own(ada: User) -> None:
    conversation, asked, answered = talk(ada)
    new = edit(ada, asked, "Good morning?").message
    assert (new.parent_id, new.role, new.text) == (asked.parent_id, "user", "Good morning?")
    assert shown(conversation) == ["Good morning?", ""]
    end(conversation, "Good morning.")
    assert shown(conversation) == ["Good morning?", "Good morning."]
    asked.refresh_from_db()
    answered.refresh_from_db()
    assert (asked.text, answered.text) == ("Hello?", "Hi.")


def test_a_message_in_the_middle_is_edited_where_it_stands(ada: User) -> None:
    conversation, _, answered = talk(ada)
    second = ask(ada, "And you?", conversation)
    end(conversation, "Fine.")
    edit(ada, second, "And they?")
    assert shown(conversation) == ["Hello?", "Hi.", "And they?", ""]
    assert Message.objects.get(text="And they?").parent_id == answered.pk


def test_pages_take_the_whole_transcript_after_an_edit(ada: User) -> None:
    conversation, asked, _ = talk(ada)
    edit(ada, asked)
    row = Conversation.objects.get(pk=conversation)
    assert row.branch_revision == row.revision


def test_the_same_edit_again_changes_nothing(ada: User) -> None:
    conversation, asked, _ = talk(ada)
    first = edit(ada, asked, key="the-same-key")
    again = edit(ada, asked, key="the-same-key")  # while its reply is being written
    end(conversation)
    later = edit(ada, asked, key="the-same-key")
    assert first.created
    assert not again.created
    assert not later.created
    assert first.message == again.message == later.message
    assert Message.objects.filter(text="Edited").count() == 1


def test_an_edit_keeps_the_title_that_a_person_sees(ada: User) -> None:
    conversation, asked, _ = talk(ada)
    edit(ada, asked, "Quite another matter")
    assert Conversation.objects.get(pk=conversation).title == "Hello?"


# Regenerate


@pytest.mark.parametrize("state", [State.COMPLETE, State.STOPPED, State.INTERRUPTED, State.FAILED])
def test_another_reply_is_written_beside_the_old_one(ada: User, state: State) -> None:
    conversation, asked, old = talk(ada, "Old.", state=state)
    branches.regenerate(ada, conversation, old.pk)
    new = end(conversation, "New.")
    assert new.parent_id == asked.pk
    assert shown(conversation) == ["Hello?", "New."]
    row = Conversation.objects.get(pk=conversation)
    assert row.tree().versions(new.pk) == [old.pk, new.pk]
    assert Message.objects.get(pk=old.pk).text == "Old."


def test_a_reply_in_the_middle_is_regenerated_without_what_followed_it(ada: User) -> None:
    conversation, _, old = talk(ada)
    ask(ada, "And you?", conversation)
    end(conversation, "Fine.")
    branches.regenerate(ada, conversation, old.pk)
    assert shown(conversation) == ["Hello?", ""]
    assert Message.objects.count() == 5


def test_a_withheld_reply_stays_withheld_behind_another_one(ada: User) -> None:
    conversation, _, old = talk(ada)
    Message.objects.filter(pk=old.pk).update(withheld_at=timezone.now())
    branches.regenerate(ada, conversation, old.pk)
    old.refresh_from_db()
    assert old.withheld_at is not None


# Continue


@pytest.mark.parametrize(
    ("state", "finish"),
    [(State.STOPPED, ""), (State.INTERRUPTED, ""), (State.COMPLETE, "length")],
)
def test_a_cut_reply_goes_on_in_a_message_of_its_own(ada: User, state: State, finish: str) -> None:
    conversation, _, cut = talk(ada, "Half an ans", state=state, finish=finish)
    branches.continue_reply(ada, conversation, cut.pk)
    rest = end(conversation, "wer.")
    assert rest.parent_id == cut.pk
    assert shown(conversation) == ["Hello?", "Half an ans", "wer."]
    assert rest.generation != cut.generation
    row = Conversation.objects.get(pk=conversation)
    assert row.tree().continues(rest.pk)
    assert row.branch_revision < row.revision  # pages append it


def test_a_continuation_has_versions_and_can_be_continued(ada: User) -> None:
    conversation, _, cut = talk(ada, "One, ", state=State.STOPPED)
    branches.continue_reply(ada, conversation, cut.pk)
    second = end(conversation, "two, ", state=State.STOPPED)
    branches.regenerate(ada, conversation, second.pk)
    other = end(conversation, "zwei, ", state=State.INTERRUPTED)
    branches.continue_reply(ada, conversation, other.pk)
    end(conversation, "three.")
    assert shown(conversation) == ["Hello?", "One, ", "zwei, ", "three."]
    assert other.parent_id == second.parent_id == cut.pk


@pytest.mark.parametrize(
    ("state", "finish", "text"),
    [
        (State.COMPLETE, "stop", "All of it."),
        (State.FAILED, "", ""),
        (State.STOPPED, "", ""),
    ],
)
def test_a_reply_that_was_not_cut_cannot_be_continued(
    ada: User, state: State, finish: str, text: str
) -> None:
    conversation, _, reply = talk(ada, text, state=state, finish=finish)
    with pytest.raises(Rejected, match="not cut short"):
        branches.continue_reply(ada, conversation, reply.pk)


def test_a_withheld_reply_cannot_be_continued(ada: User) -> None:
    conversation, _, reply = talk(ada, "Half", state=State.STOPPED)
    Message.objects.filter(pk=reply.pk).update(withheld_at=timezone.now())
    with pytest.raises(Rejected):
        branches.continue_reply(ada, conversation, reply.pk)


def test_only_the_last_reply_can_be_continued(ada: User) -> None:
    conversation, _, cut = talk(ada, "Half", state=State.STOPPED)
    ask(ada, "Never mind.", conversation)
    end(conversation, "Very well.")
    with pytest.raises(Rejected, match="Only the last"):
        branches.continue_reply(ada, conversation, cut.pk)


# Versions


def test_a_version_comes_with_the_newest_of_what_follows_it(ada: User) -> None:
    conversation, asked, _ = talk(ada)
    ask(ada, "And you?", conversation)
    end(conversation, "Fine.")
    new = edit(ada, asked, "Good morning?").message
    end(conversation, "Good morning.")
    branches.show(ada, conversation, asked.pk)
    assert shown(conversation) == ["Hello?", "Hi.", "And you?", "Fine."]
    row = Conversation.objects.get(pk=conversation)
    assert row.branch_revision == row.revision
    branches.show(ada, conversation, new.pk)
    assert shown(conversation) == ["Good morning?", "Good morning."]


def test_a_version_that_is_on_screen_stays_as_it_is(ada: User) -> None:
    conversation, asked, _ = talk(ada)
    old = end(ask(ada, "And you?", conversation).conversation_id, "Fine.")
    branches.regenerate(ada, conversation, old.pk)
    end(conversation, "Very well.")
    branches.show(ada, conversation, old.pk)
    before = Conversation.objects.get(pk=conversation)
    branches.show(ada, conversation, asked.pk)  # a branch of it that is older than another one
    after = Conversation.objects.get(pk=conversation)
    assert (after.head_id, after.branch_revision) == (before.head_id, before.branch_revision)


# What is refused

Command = Callable[[User, uuid.UUID, Message, Message], object]
COMMANDS: dict[str, Command] = {
    "edit": lambda user, c, asked, reply: branches.edit(user, c, asked.pk, "Edited", "a-new-key"),
    "regenerate": lambda user, c, asked, reply: branches.regenerate(user, c, reply.pk),
    "continue": lambda user, c, asked, reply: branches.continue_reply(user, c, reply.pk),
    "show": lambda user, c, asked, reply: branches.show(user, c, reply.pk),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_done_while_a_reply_is_being_written(ada: User, name: str) -> None:
    conversation, asked, cut = talk(ada, "Half", state=State.STOPPED)
    branches.regenerate(ada, conversation, cut.pk)
    before = Conversation.objects.get(pk=conversation)
    with pytest.raises(Rejected, match="still being written"):
        COMMANDS[name](ada, conversation, asked, cut)
    after = Conversation.objects.get(pk=conversation)
    assert (after.head_id, after.revision) == (before.head_id, before.revision)
    assert Message.objects.count() == 3


@pytest.mark.parametrize("name", COMMANDS)
def test_a_stranger_does_not_even_learn_that_it_is_there(ada: User, bob: User, name: str) -> None:
    conversation, asked, cut = talk(ada, "Half", state=State.STOPPED)
    with pytest.raises(Http404):
        COMMANDS[name](bob, conversation, asked, cut)
    # Nor may a message of one conversation be reached through another.
    own, _, _ = talk(bob)
    with pytest.raises(Http404):
        COMMANDS[name](bob, own, asked, cut)
    assert Conversation.objects.get(pk=conversation).head == cut


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_done_to_a_deleted_conversation(ada: User, name: str) -> None:
    conversation, asked, cut = talk(ada, "Half", state=State.STOPPED)
    actions.delete(ada, conversation)
    with pytest.raises(Http404):
        COMMANDS[name](ada, conversation, asked, cut)


def test_each_command_is_for_its_kind_of_message(ada: User) -> None:
    conversation, asked, cut = talk(ada, "Half", state=State.STOPPED)
    for name in ("edit", "regenerate", "continue"):
        with pytest.raises(Http404):
            COMMANDS[name](ada, conversation, cut, asked)


@pytest.mark.parametrize("name", ["edit", "regenerate", "continue"])
def test_the_limit_of_replies_at_once_holds_for_every_way_to_ask(
    ada: User, settings: LazySettings, name: str
) -> None:
    settings.CONCURRENT_REPLIES_PER_USER = 1
    conversation, asked, cut = talk(ada, "Half", state=State.STOPPED)
    ask(ada)
    with pytest.raises(Rejected, match="1 reply"):
        COMMANDS[name](ada, conversation, asked, cut)
    assert Conversation.objects.get(pk=conversation).head == cut


# What the provider is asked


def requested(conversation: uuid.UUID) -> list[tuple[str, str]]:
    job = claim("test")
    assert job is not None
    assert job.conversation_id == conversation
    Generation.objects.filter(pk=job.generation_id).update(state=State.QUEUED)
    return [(m["role"], m["content"]) for m in job.request.messages if m["role"] != "system"]


def test_the_provider_is_asked_for_the_rest(ada: User) -> None:
    conversation, _, cut = talk(ada, "Half an ans", state=State.STOPPED)
    branches.continue_reply(ada, conversation, cut.pk)
    assert requested(conversation) == [
        ("user", "Hello?"),
        ("assistant", "Half an ans"),
        ("user", CONTINUE),
    ]


def test_a_reply_and_its_continuations_are_one_turn(ada: User) -> None:
    conversation, _, cut = talk(ada, "One, ", state=State.STOPPED)
    branches.continue_reply(ada, conversation, cut.pk)
    second = end(conversation, "two, ", state=State.STOPPED)
    branches.continue_reply(ada, conversation, second.pk)
    assert requested(conversation)[1] == ("assistant", "One, two, ")
    end(conversation, "three.")
    ask(ada, "And then?", conversation)
    assert requested(conversation) == [
        ("user", "Hello?"),
        ("assistant", "One, two, three."),
        ("user", "And then?"),
    ]


def test_a_part_that_was_withheld_meanwhile_is_not_told_again(ada: User) -> None:
    conversation, _, cut = talk(ada, "Half", state=State.STOPPED)
    branches.continue_reply(ada, conversation, cut.pk)
    Message.objects.filter(pk=cut.pk).update(withheld_at=timezone.now())
    assert requested(conversation) == [("user", "Hello?")]


def test_another_version_is_not_told_to_the_provider(ada: User) -> None:
    conversation, asked, _ = talk(ada, "Hi.")
    edit(ada, asked, "Good morning?")
    assert requested(conversation) == [("user", "Good morning?")]


def test_the_first_reply_that_is_whole_brings_a_title_whatever_came_before(ada: User) -> None:
    conversation, _, cut = talk(ada, "Half", state=State.STOPPED)
    branches.continue_reply(ada, conversation, cut.pk)
    job = claim("test")
    assert job is not None
    assert job.wants_title


# At the same moment


def _together(count: int, call: Callable[[int], object]) -> list[object]:
    barrier = threading.Barrier(count)

    def one(number: int) -> object:
        barrier.wait()
        try:
            return call(number)
        except Rejected as rejected:
            return rejected
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.django_db(transaction=True)
def test_twenty_parallel_saves_of_one_edit_make_one_message(ada: User) -> None:
    _, asked, _ = talk(ada)
    results = _together(20, lambda n: edit(ada, asked, key="twenty-times"))
    assert [type(result) for result in results] == [actions.Sent] * 20
    assert Message.objects.filter(role="user").count() == 2
    assert Generation.objects.filter(state=State.QUEUED).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_commands_at_once_one_is_accepted(ada: User) -> None:
    conversation, asked, cut = talk(ada, "Half", state=State.STOPPED)
    three = [COMMANDS[name] for name in ("edit", "regenerate", "continue")]
    results = _together(9, lambda n: three[n % 3](ada, conversation, asked, cut))
    # The same edit three times is one edit, accepted as often as it was sent.
    accepted = [result for result in results if not isinstance(result, Rejected)]
    assert len(accepted) in (1, 3)
    assert Generation.objects.filter(state=State.QUEUED).count() == 1
