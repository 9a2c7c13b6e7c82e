"""What a page is told of branches: the whole where it jumped, what is new where it did not."""

import uuid
from collections.abc import Set

from django.db import transaction
from django.utils import timezone

from chat import branches
from chat.delivery import changes
from chat.delivery.changes import Changes
from chat.models import Conversation, Message, State, User, next_revision
from tests.talk import ask, end, talk


def revision(conversation: uuid.UUID) -> int:
    return Conversation.objects.get(pk=conversation).revision


def touch(message: Message) -> None:
    """Change a message, as a verdict does that comes later."""
    with transaction.atomic():
        row = Message.objects.filter(pk=message.pk)
        row.update(revision=next_revision(message.conversation_id))


def since(user: User, message: Message, cursor: int, followed: Set[int] = frozenset()) -> Changes:
    return changes.load(user.pk, message.conversation_id, cursor, followed)


def html(found: Changes) -> str:
    return "".join(fragment.content for fragment in found.fragments)


def test_after_a_switch_a_page_takes_the_whole_transcript(ada: User) -> None:
    conversation, asked, old = talk(ada, "The old answer.")
    branches.regenerate(ada, conversation, old.pk)
    end(conversation, "The new answer.")
    cursor = revision(conversation)
    branches.show(ada, conversation, old.pk)
    found = since(ada, asked, cursor)
    assert found.whole
    assert found.fragments[0].target == "#messages"
    assert "The old answer." in html(found)
    assert "The new answer." not in html(found)
    assert not since(ada, asked, found.cursor).fragments


def test_a_continuation_is_appended_and_the_text_before_it_not_sent_again(ada: User) -> None:
    conversation, asked, cut = talk(ada, "Half an ans", state=State.STOPPED)
    cursor = revision(conversation)
    branches.continue_reply(ada, conversation, cut.pk)
    found = since(ada, asked, cursor)
    assert not found.whole
    assert ("#messages", "beforeend") in [(f.target, f.swap) for f in found.fragments]
    assert "Half an ans" not in html(found)
    assert found.running is not None


def test_a_page_that_followed_to_the_end_gets_the_new_foot_alone(ada: User) -> None:
    _, asked, reply = talk(ada, "A long answer.")
    ask(ada, "More?", asked.conversation_id)
    end(asked.conversation_id, "No.")
    cursor = revision(asked.conversation_id)
    touch(reply)
    found = since(ada, asked, cursor, followed={reply.pk})
    assert [fragment.target for fragment in found.fragments] == [f"#foot-{reply.pk}"]
    assert "Regenerate" in html(found)
    assert "A long answer." not in html(found)


def test_the_foot_of_a_version_counts_its_versions(ada: User) -> None:
    conversation, asked, old = talk(ada)
    branches.regenerate(ada, conversation, old.pk)
    cursor = revision(conversation)
    new = end(conversation, "New.")
    touch(new)
    assert "2 / 2" in html(since(ada, asked, cursor, followed={new.pk}))


def test_what_happens_to_a_version_that_is_not_on_screen_is_not_sent(ada: User) -> None:
    conversation, asked, old = talk(ada)
    branches.regenerate(ada, conversation, old.pk)
    end(conversation, "New.")
    cursor = revision(conversation)
    touch(old)
    found = since(ada, asked, cursor)
    assert found.cursor == cursor + 1
    assert found.fragments == []


def test_a_text_that_comes_back_after_a_notice_is_sent_whole(ada: User) -> None:
    _, asked, reply = talk(ada, "A long answer.")
    cursor = revision(asked.conversation_id)
    Message.objects.filter(pk=reply.pk).update(withheld_at=timezone.now())
    touch(reply)
    found = since(ada, asked, cursor, followed={reply.pk})
    assert found.replaced == {reply.pk}
    assert "A long answer." not in html(found)
