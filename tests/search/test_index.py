"""The database finds what was said, as soon as it was said and no longer than it is there."""

from collections.abc import Callable

import pytest
from django.apps import apps
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat import signals
from chat.models import CallState, Generation, Message, ToolCall, User
from chat.search import index
from chat.search.terms import parse
from tests.admin.rows import make_conversation, reply, say

Found = Callable[[str], set[int]]


def found(typed: str) -> set[int]:
    return set(Message.objects.filter(index.matching(parse(typed))).values_list("pk", flat=True))


@pytest.fixture
def question(ada: User) -> Message:
    return say(make_conversation(ada, "Moonlight"), "Why do tides lag behind the moon?")


def test_words_all_have_to_be_there(question: Message) -> None:
    assert found("tides moon") == {question.pk}
    assert found("TIDES") == {question.pk}
    assert found("tides sun") == set()
    assert found("tide") == set()


def test_phrases_and_beginnings(question: Message) -> None:
    assert found('"lag behind"') == {question.pk}
    assert found('"behind lag"') == set()
    assert found("tid*") == {question.pk}
    assert found("lag-behind") == {question.pk}


def test_a_part_of_an_address_or_a_path_is_a_word(ada: User) -> None:
    message = say(make_conversation(ada), "See ada@example.org or /srv/files/plan.txt")
    for typed in ("example", "ada@example.org", "plan", "files/plan.txt", "exam*", "srv"):
        assert found(typed) == {message.pk}, typed


def test_thoughts_titles_and_tool_calls_are_searched_too(question: Message) -> None:
    answer = reply(question, "Friction.", reasoning="Consider the sea bed.")
    ToolCall.objects.create(
        message=answer, number=0, round=1, offset=0, name="lookup", state=CallState.DONE,
        arguments='{"query": "bathymetry"}', result="Depths in fathoms",
    )  # fmt: skip
    assert found("bed") == {answer.pk}
    assert found("bathymetry fathoms") == {answer.pk}
    assert found("moonlight") == {question.pk, answer.pk}
    assert found("moonlight friction") == {answer.pk}


def test_writing_without_spaces_is_found(ada: User) -> None:
    message = say(make_conversation(ada), "明日の天気はどうですか")
    assert found("天気") == {message.pk}


def test_a_reply_is_indexed_when_it_has_its_receipt_and_not_before(question: Message) -> None:
    writing = reply(question, "", state="streaming")
    Message.objects.filter(pk=writing.pk).update(text="Half of a sentence")
    assert found("sentence") == set()
    assert rows(writing) == 0
    done = reply(question, "A whole sentence", receipt=True, state="complete")
    assert found("sentence") == {done.pk}


def test_the_text_may_be_saved_after_the_receipt(question: Message) -> None:
    answer = reply(question, "")
    Message.objects.filter(pk=answer.pk).update(text="All of it.", reasoning="A thought")
    assert found("all") == {answer.pk}
    assert found("thought") == {answer.pk}


def rows(message: Message) -> int:
    key = "message_id" if connection.vendor == "postgresql" else "rowid"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM chat_search WHERE {key} = %s", [message.pk])
        return int(cursor.fetchone()[0])


def test_what_is_changed_or_deleted_is_found_no_more(question: Message) -> None:
    Message.objects.filter(pk=question.pk).update(text="Why do ████ lag?")
    assert found("tides") == set()
    assert found("lag") == {question.pk}
    question.conversation.head = None
    question.conversation.save()
    pk, conversation = question.pk, question.conversation
    question.delete()
    assert rows(Message(pk=pk, conversation=conversation)) == 0


def test_nothing_is_missing_of_a_very_long_text(ada: User) -> None:
    long = say(make_conversation(ada), "".join(f"word{i} " for i in range(30_000)) + "the needle")
    assert found("needle") == {long.pk}
    assert found('"the needle"') == {long.pk}
    assert found("word29999 word0") == {long.pk}
    assert found("word17*") == {long.pk}


HOSTILE = [
    '"', '""', "'", "\\", "a AND", "NOT", "NEAR(a b)", "text:", "{a b}: c", "^a", "-a", "a OR (",
    "\0", "*", "a*b", "'':*", "':*", "a & b | !c <-> d", "%", "_", "\ud800", "((((", "!" * 10_000,
    'foo"bar*', 'a"b*', '"a*', '"*', 'a"*', 'a" OR "b*', '"" OR text:a"*',
    "x" * 10_000, '"' * 10_001, "a* " * 5_000, "\u202e\u0000\uffff", "🦊", "е́", "<script>",
]  # fmt: skip


@pytest.mark.parametrize("typed", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_that_can_be_typed_is_an_error(typed: str, question: Message) -> None:
    assert found(typed) <= {question.pk}


PIECES = ['"', '"', "*", "*", " ", "'", ":", "^", "-", "(", ")", "|", "OR", "a", "é", "天"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_no_mixture_of_operators_is_an_error(question: Message, typed: str) -> None:
    assert found(typed) <= {question.pk}


def test_a_quote_within_a_beginning_is_no_operator(question: Message) -> None:
    assert found('ti"d*') == {question.pk}


def test_signs_are_found_where_they_stand(question: Message) -> None:
    assert found("?") == {question.pk}
    assert found("%") == set()


def test_the_index_is_made_again_with_what_is_there(question: Message) -> None:
    answer = reply(question, "Friction.")
    index.remove(connection)
    for _again in range(2):
        index.make(connection)
        index.watch(connection)
    assert found("tides") == {question.pk}
    assert found("friction") == {answer.pk}


@pytest.mark.django_db(transaction=True)
def test_the_index_forgets(question: Message) -> None:
    Message.objects.filter(pk=question.pk).update(text="Nothing.")
    index.forget()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT block FROM chat_search_data")
            assert not any(b"tides" in bytes(block) for (block,) in cursor)
    assert found("tides") == set()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite writes tables anew")
def test_a_migration_may_write_the_tables_anew(question: Message) -> None:
    index.unwatch(connection)
    with connection.schema_editor() as editor:
        for model in (Message, Generation):
            editor._remake_table(model)
    index.watch(connection)
    assert found("tides") == {question.pk}
    Message.objects.filter(pk=question.pk).update(text="Nothing.")
    assert found("tides") == set()
    assert found("wave") == set()
    later = say(question.conversation, "A wave", question)
    assert found("wave") == {later.pk}


@pytest.mark.django_db(transaction=True)
def test_migrations_take_the_triggers_away_and_bring_them_back(question: Message) -> None:
    config = apps.get_app_config("chat")
    signals._migrating(sender=config, using="default", plan=[])
    assert triggers() == 4
    signals._migrating(sender=config, using="default", plan=[(object(), False)])
    assert triggers() == 0
    signals._migrated(sender=config, using="default")
    assert triggers() == 4


def triggers() -> int:
    with connection.cursor() as cursor:
        cursor.execute(index._vendor(connection).COUNT)
        return int(cursor.fetchone()[0])
