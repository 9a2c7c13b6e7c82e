"""Where reviewing is anonymous nobody is named."""

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Group
from django.test import Client

from chat.models import (
    Message,
    User,
)
from chat.review import pseudonyms, queue
from chat.review.pseudonyms import pseudonym, who_is
from tests.admin.rows import make_conversation, reply, say
from tests.conftest import make_user
from tests.presets import make_assistant
from tests.review.conftest import Shown


class TestAnonymous:
    @pytest.fixture(autouse=True)
    def _anonymous(self, settings: LazySettings) -> None:
        settings.REVIEW_ANONYMOUS = True

    def test_nobody_has_a_name(self, desk: Client, labelled: Message, bob: User) -> None:
        for path in ("/review/", "/review/?tab=all&q=algebra"):
            page = desk.get(path).content.decode()
            assert "bob" not in page
            assert pseudonym(bob.pk) in page

    def test_people_are_found_by_their_pseudonym_only(
        self, shown: Shown, labelled: Message, bob: User
    ) -> None:
        assert shown(tab="all", user="bob") == []
        assert shown(user=pseudonym(bob.pk)) == [labelled.pk]
        assert shown(user=pseudonym(bob.pk).removeprefix("Person ").lower()) == [labelled.pk]

    def test_somebody_new_is_found_and_another_key_makes_other_names(
        self, shown: Shown, labelled: Message, bob: User, settings: LazySettings
    ) -> None:
        old = pseudonym(bob.pk)
        assert shown(user=old) == [labelled.pk]
        later = make_user("later")
        message = reply(say(make_conversation(later), "Hm?"), "Fine.")
        queue.put(message.pk, reported=True)
        assert shown(user=pseudonym(later.pk)) == [message.pk]
        settings.SECRET_KEY = "another"
        assert pseudonym(bob.pk) != old
        assert who_is(old) == []
        assert who_is(pseudonym(bob.pk)) == [bob.pk]

    def test_no_filter_tells_who_somebody_is(
        self, desk: Client, shown: Shown, labelled: Message, bob: User
    ) -> None:
        group = Group.objects.get(name="Tutors")
        everybodys = make_assistant(bob, "Helper", visibility="everyone")
        page = desk.get("/review/").content.decode()
        assert "Tutor" not in page
        assert "Helper" in page
        everything = shown(tab="all")
        assert len(everything) > 2
        assert shown(tab="all", group=group.pk) == everything
        assert shown(tab="all", assistant=labelled.conversation.assistant_id) == everything
        assert shown(tab="all", assistant=everybodys.pk) == []


def test_a_pseudonym_is_reckoned_once(db: None) -> None:
    make_user("ada")
    pseudonyms._code.cache_clear()
    for _refresh in range(3):
        who_is("0000-0000")
    assert pseudonyms._code.cache_info().misses == User.objects.count()
