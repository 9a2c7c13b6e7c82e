"""The page that shows a conversation, with the record of every reply."""

import hashlib

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chat.models import Conversation, Generation, Message, Receipt, ToolCall, User
from tests.admin.conftest import Story
from tests.admin.pages import Elements, html_of, page_url
from tests.admin.rows import make_conversation, make_title, reply, say


def article(html: str, message: Message) -> str:
    """The part of the page that shows one message, without white space between words."""
    start = html.index(f'id="message-{message.pk}"')
    return " ".join(html[start : html.index("</article>", start)].split())


def shown(client: Client, conversation: Conversation, **query: str) -> str:
    return html_of(client.get(page_url(conversation), query))


def test_every_branch_is_shown_in_order(root: Client, story: Story) -> None:
    html = shown(root, story.conversation)
    messages = [
        story.question,
        story.first,
        story.second,
        story.follow_up,
        story.failed,
        story.flagged,
    ]
    places = [html.index(f'id="message-{message.pk}"') for message in messages]
    assert places == sorted(places)
    assert html.count("<article") == 6
    assert "Version 1 of 2" in article(html, story.first)
    assert "Version 2 of 2" in article(html, story.second)
    assert "Not on the current branch" in article(html, story.first)
    assert "Not on the current branch" not in article(html, story.second)
    assert "Version" not in article(html, story.question)


def test_a_message_says_who_spoke_and_when(root: Client, story: Story) -> None:
    html = shown(root, story.conversation)
    assert "ada <span" in article(html, story.question)
    assert "Parley <span" in article(html, story.first)
    assert f"{story.question.created_at:%Y-%m-%d %H:%M:%S} UTC" in article(html, story.question)


def test_a_reply_is_rendered_as_on_the_page_and_kept_as_it_is(root: Client, story: Story) -> None:
    part = article(shown(root, story.conversation), story.second)
    assert "<em>basins</em>" in part
    assert 'class="highlight language-python"' in part
    assert "Because *basins* resonate." in part  # as plain text


def test_what_a_person_wrote_is_shown_as_it_was_written(root: Client, ada: User) -> None:
    message = say(make_conversation(ada), "# not a heading\n  *and* <b>no</b> markup")
    html = shown(root, message.conversation)
    assert "# not a heading\n  *and* &lt;b&gt;no&lt;/b&gt; markup" in html


def test_reasoning_is_folded(root: Client, story: Story) -> None:
    part = article(shown(root, story.conversation), story.first)
    assert '<details class="reasoning"> <summary>Thought for 1.2 s</summary>' in part
    assert "Think of the sea bed." in part


def test_a_failure_shows_the_operator_its_kind_and_detail(root: Client, story: Story) -> None:
    part = article(shown(root, story.conversation), story.failed)
    assert "rate_limited" in part
    assert "429 slow down" in part
    assert "Failed" in part


def test_the_record_of_a_reply_is_complete(root: Client, story: Story) -> None:
    part = article(shown(root, story.conversation), story.first)
    for term, value in {
        "Model": "small-1",
        "TTFT, provider": "181 ms",
        "TTFT, served": "204 ms",
        "Thinking time": "1.20 s",
        "Writing time": "2.50 s",
        "Prompt tokens": "40",
        "Completion tokens": "5",
        "Characters": "20",
    }.items():
        assert f"<dt>{term}</dt> <dd>{value}</dd>" in part
    assert "max_tokens 512, temperature 0.7" in part
    assert "1.6 tokens/s" in part
    assert hashlib.sha256(b"Because of friction.").hexdigest() in part


def test_each_backends_verdict_is_shown_with_its_scores(root: Client, story: Story) -> None:
    part = article(shown(root, story.conversation), story.flagged)
    assert part.index("harassment") < part.index("violence")  # the highest first
    assert 'value="0.9100"' in part
    assert "0.750" in part
    assert part.count('class="verdict"') == 2
    assert "Moderation: Flagged" in part


def test_a_text_that_is_as_it_was_matches_its_receipt(root: Client, story: Story) -> None:
    html = shown(root, story.conversation)
    assert "SHA-256 matches" in article(html, story.first)
    assert "SHA-256 matches" in article(html, story.failed)  # the hash of no text
    assert "DOES NOT MATCH" not in html


def test_a_text_that_was_tampered_with_does_not_match_its_receipt(
    root: Client, story: Story
) -> None:
    Message.objects.filter(pk=story.second.pk).update(text="Because I say so.")
    html = shown(root, story.conversation)
    assert "SHA-256 DOES NOT MATCH" in article(html, story.second)
    assert "SHA-256 matches" not in article(html, story.second)
    assert "SHA-256 matches" in article(html, story.first)
    worth_a_look = html[html.index('id="notable"') : html.index("<article")]
    assert f"#message-{story.second.pk}" in worth_a_look
    receipt = html_of(root.get(page_url(story.second.generation.receipt)))
    assert "SHA-256 DOES NOT MATCH" in receipt


def test_a_receipt_that_was_tampered_with_does_not_match_either(root: Client, story: Story) -> None:
    Receipt.objects.filter(generation=story.second.generation).update(sha256="0" * 64)
    assert "DOES NOT MATCH" in article(shown(root, story.conversation), story.second)


def test_a_withheld_reply_is_readable_here_and_marked(root: Client, story: Story) -> None:
    part = article(shown(root, story.conversation), story.flagged)
    assert "A rude answer." in part
    assert "Withheld from its reader" in part


def test_a_deleted_conversation_is_readable_here_and_marked(
    root: Client, others: Conversation
) -> None:
    html = shown(root, others)
    assert "How long does dough rest?" in html
    assert "Its owner deleted this conversation" in html


def test_a_continuation_has_a_record_of_its_own_and_says_what_it_continues(
    root: Client, ada: User
) -> None:
    asked = say(make_conversation(ada), "Well?")
    cut = reply(asked, "Half an ans", state="stopped")
    failed = reply(cut, "w", state="interrupted")
    rest = reply(cut, "wer.")
    html = shown(root, asked.conversation)
    for part in (failed, rest):
        assert f"Continues #{cut.pk}" in article(html, part)
        assert "SHA-256 matches" in article(html, part)
    assert "Continues #" not in article(html, cut)
    assert "Version 2 of 2" in article(html, rest)
    assert "Not on the current branch" in article(html, failed)


def test_a_reply_without_a_receipt_says_so(root: Client, ada: User) -> None:
    asked = say(make_conversation(ada), "Well?")
    ended = reply(asked, "Yes.", receipt=False)
    running = reply(asked, "Ye", state="streaming", receipt=False)
    html = shown(root, asked.conversation)
    assert "Not reconciled yet" in article(html, ended)
    assert "Not reconciled yet" not in article(html, running)
    assert "Written when the reply has ended." in article(html, running)


def test_title_generations_come_last_and_folded(root: Client, story: Story) -> None:
    html = shown(root, story.conversation)
    titles = html[html.index('<details class="titles">') :]
    assert "title-model" in titles
    assert "title-model" not in html[: html.index('<details class="titles">')]
    assert "<article" not in titles


def test_the_page_links_to_the_owner_and_to_every_record(root: Client, story: Story) -> None:
    page = Elements(shown(root, story.conversation))
    links = {link.get("href") for link in page.all("a")}
    generation = story.flagged.generation
    wanted = [story.conversation.owner, story.flagged, generation, generation.receipt]
    assert {page_url(obj) for obj in [*wanted, story.title, *story.flagged.verdicts.all()]} <= links


def test_an_empty_conversation_has_a_page(root: Client, ada: User) -> None:
    assert "Nothing has been said" in shown(root, make_conversation(ada))


def test_hostile_text_is_inert(root: Client, ada: User) -> None:
    hostile = (
        "<script>alert(1)</script><img src=x onerror=alert(2)>"
        '<div hx-get="/evil" hx-trigger="load" data-hx-get="/evil" style="color:red">x</div>'
        "[link](javascript:alert(3)) ![pixel](https://evil.example/p.png)"
        "</pre></details></article>"
    )
    conversation = make_conversation(ada, title=hostile[:100])
    asked = say(conversation, hostile)
    answer = reply(
        asked,
        hostile,
        state="failed",
        reasoning=hostile,
        error_kind="refused",
        error_detail=hostile,
        model=hostile[:150],
        parameters={hostile: hostile},
        scores={hostile: 0.5},
        verdict="flagged",
    )
    make_title(conversation, state="failed", error_detail=hostile, error_kind="empty")
    verdict = answer.verdicts.get()
    records = [conversation, asked, answer, answer.generation, verdict, answer.generation.receipt]
    for obj in records:
        page = Elements(html_of(root.get(page_url(obj))))
        assert not [link for link in page.all("script") if not link.get("src")]
        for tag, attributes in page.tags:
            names = set(attributes)
            assert not {n for n in names if n.startswith(("on", "hx-", "data-hx"))}, tag
            assert "style" not in names, tag
            assert not (attributes.get("href") or "").startswith("javascript:")
            assert "evil" not in (attributes.get("src") or "")
    for name in ("conversation", "message", "generation", "verdict", "receipt"):
        page = Elements(html_of(root.get(f"/admin/chat/{name}/")))
        assert all(script.get("src") for script in page.all("script"))


def test_a_long_conversation_comes_in_pages_and_a_message_is_found_on_its_own(
    root: Client, ada: User
) -> None:
    conversation = make_conversation(ada)
    message = None
    ids = []
    for number in range(150):
        message = say(conversation, f"Word {number}.", message)
        ids.append(message.pk)
    first = shown(root, conversation)
    assert f'id="message-{ids[0]}"' in first
    assert f'id="message-{ids[149]}"' not in first
    assert "Page 1 of 2" in first
    assert f'id="message-{ids[149]}"' in shown(root, conversation, page="2")
    assert f'id="message-{ids[120]}"' in shown(root, conversation, at=str(ids[120]))
    shown(root, conversation, page="nonsense", at="nonsense")


def test_the_page_takes_the_same_number_of_queries_however_long_it_is(
    root: Client, story: Story
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(root, story.conversation)
        return len(captured)

    queries()  # the first page of a process asks for content types, too
    short = queries()
    message = story.flagged
    for number in range(10):
        message = reply(say(story.conversation, "More?", message), f"More {number}.")
        reply(message.parent, "Or else.")
    assert queries() == short
    assert short <= 23  # four of them for the entry in the access log, and five for the seals


def test_a_reply_that_only_calls_tools_is_not_shown_as_empty(root: Client, ada: User) -> None:
    asked = say(make_conversation(ada), "How many?")
    message = reply(asked, "")
    ToolCall.objects.create(
        message=message,
        number=0,
        round=1,
        offset=0,
        name="count_<ships>",
        arguments='{"harbour": "north"}',
        state="done",
        result="Twelve <b>ships</b>.",
    )
    for html in (
        article(shown(root, asked.conversation), message),
        html_of(root.get(page_url(message))),
    ):
        assert "No text." not in html
        for said in ("count_&lt;ships&gt;", "harbour", "Twelve &lt;b&gt;ships&lt;/b&gt;."):
            assert said in html


def test_what_is_not_as_it_was_sealed_is_marked(root: Client, story: Story) -> None:
    assert "Not as it was sealed" not in shown(root, story.conversation)
    Generation.objects.filter(message=story.second).update(finish_reason="length")
    Message.objects.filter(pk=story.follow_up.pk).update(text="Another question?")
    html = shown(root, story.conversation)
    for message in (story.second, story.failed, story.flagged):
        assert "Not as it was sealed" in article(html, message)
    assert "Not as it was sealed" not in article(html, story.first)
    assert html.count("Not as it was sealed") == 6  # and as often under "Worth a look"


def test_a_reply_that_somebody_deleted_is_missed(root: Client, story: Story) -> None:
    missing = "is not here any more, and nobody purged it"
    assert missing not in shown(root, story.conversation)
    story.first.generation.delete()
    story.first.delete()
    assert missing in shown(root, story.conversation)
