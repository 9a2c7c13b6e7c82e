"""A question and its reply, from sign-up to the record."""

import hashlib
import re

from playwright.async_api import expect

from tests.fake_provider import Done, Finish, Gate, Script, Text, Usage, reply

from .chat import CONVERSATION, Chat
from .conftest import Visit
from .server import Person, Server

# Every kind of block that a reply may have; what is shown of it must be the same twice.
MARKDOWN = """\
# Tides

The moon *pulls*, the **sea** follows: `lag = 50 min`. See <https://example.org/tides>.

1. High water
2. Low water
   - neap
   - spring

- [x] looked at the table
- [ ] went swimming

| day | high | low |
| :-- | ---: | :-: |
| Mon | 4.10 | 0.3 |
| Tue | 4.05 | 0.4 |

```python
def tide(hour):
    return 4 * cos(hour / 12.4)  # < & >
```

> Time and tide wait for no man.

Indented, [linked](https://example.org/a "b"), ~~struck~~ and done.
"""


async def test_a_stranger_signs_up_asks_and_is_answered(
    server: Server, visit: Visit, person: Person
) -> None:
    chat = await visit(server, "/accounts/signup/", who=None)
    page = chat.page
    await page.get_by_label("Username").fill(f"new-{person.name}")
    await page.get_by_label("Email").fill(f"new-{person.name}@example.org")
    await page.get_by_label("Password", exact=True).fill("a quiet harbour at dawn")
    await page.get_by_label("Confirm password").fill("a quiet harbour at dawn")
    await page.get_by_role("button", name="Sign up").click()
    await chat.connected()
    await expect(chat.box).to_be_focused()
    await chat.ask("Who are you?", reply("A helpful assistant."))
    await expect(chat.text).to_have_text("A helpful assistant.")


async def test_a_person_signs_in_and_finds_the_conversation(
    server: Server, visit: Visit, person: Person
) -> None:
    chat = await visit(server)
    await chat.ask("Where was I?", reply("Here."))
    await chat.ended()
    other = await visit(server, chat.path, who=None)
    await other.page.get_by_label("Username or email").fill(person.name)
    await other.page.get_by_label("Password", exact=True).fill(person.password)
    await other.page.get_by_role("button", name="Sign in").click()
    await other.connected()
    assert other.path == chat.path
    await expect(other.text).to_have_text("Here.")


async def test_the_first_words_appear_while_the_rest_is_still_being_written(chat: Chat) -> None:
    script = Script(Text("The tide "), Gate("rest"), Text("turns."), Finish(), Usage(), Done())
    await chat.ask("What turns?", script)
    await expect(chat.text).to_have_text("The tide")
    await expect(chat.status).to_have_text("Writing…")
    assert chat.provider.open_streams
    chat.provider.open("rest")
    await expect(chat.text).to_have_text("The tide turns.")
    await chat.ended()
    await expect(chat.status).to_have_text("Done.")


async def test_the_page_says_that_it_waits_before_the_first_token(chat: Chat) -> None:
    await chat.ask("Well?", Script(Gate("start"), Text("Well."), Finish(), Done()))
    await expect(chat.status).to_have_text("Waiting for the first token…")
    await expect(chat.stop).to_be_visible()
    await expect(chat.send).to_be_hidden()
    chat.provider.open("start")
    await chat.ended()
    await expect(chat.send).to_be_visible()
    await expect(chat.stop).to_be_hidden()


async def test_the_line_under_a_reply_tells_model_times_and_tokens(chat: Chat) -> None:
    first, rest = Text("Not so fast,"), Text(" there is a pause in it.")
    script = Script(first, Gate("pause"), rest, Finish(), Usage(completion_tokens=9), Done())
    await chat.ask("How fast?", script)
    await expect(chat.text).to_have_text("Not so fast,")
    chat.provider.open("pause")
    await chat.reconciled()
    facts = await chat.reply.get_by_role("listitem").all_text_contents()
    assert [fact.partition(": ")[0] for fact in facts] == [
        "Model",
        "Time to first token",
        "Speed",
        "Tokens",
        "Total time",
        "checked",
    ]
    assert facts[0] == "Model: fake"
    assert re.fullmatch(r"Time to first token: first token \d+(\.\d)? m?s", facts[1])
    assert re.fullmatch(r"Speed: [\d,]+ tokens/s", facts[2])
    assert facts[3] == "Tokens: 9 tokens"


async def test_a_reload_shows_the_same_text(chat: Chat) -> None:
    await chat.ask("Tell me all.", reply(MARKDOWN, size=3))
    await chat.reconciled()
    before = await chat.text.inner_text()
    html = await chat.text.inner_html()
    await chat.reload()
    await expect(chat.text).to_be_visible()
    assert await chat.text.inner_text() == before
    # Live, the blocks stand around an empty element for the text to come.
    assert re.sub(r'<div class="tail" id="tail-\d+"></div>', "", html) == (
        await chat.text.inner_html()
    )


async def test_the_record_has_the_text_that_was_shown(chat: Chat) -> None:
    text = "One line.\nAnother line."
    await chat.ask("Say something plain.", reply(text, size=1))
    await chat.reconciled()
    assert (await chat.text.inner_text()).strip() == text
    question, answer = chat.export()["messages"]
    assert question["text"] == "Say something plain."
    assert answer["text"] == text
    assert answer["state"] == "complete"
    assert answer["verdict"] == "passed"
    assert answer["sha256"] == hashlib.sha256(text.encode()).hexdigest()


async def test_a_new_conversation_gets_an_address_with_its_first_message(chat: Chat) -> None:
    assert not CONVERSATION.search(chat.page.url)
    await chat.ask("Where am I?", reply("Somewhere."))
    await chat.page.wait_for_url(CONVERSATION)
    await chat.ended()
    await chat.reload()
    await expect(chat.text).to_have_text("Somewhere.")


async def test_the_title_comes_in_the_background(chat: Chat) -> None:
    chat.provider.title = "Of shoes and ships"
    heading = chat.page.get_by_role("heading", level=1)
    await chat.ask("Shall we talk of many things?", reply("The time has come."))
    await expect(heading).to_have_text("Of shoes and ships")
    await expect(chat.sidebar.get_by_role("link", name="Of shoes and ships")).to_be_visible()
    await expect(chat.page).to_have_title("Of shoes and ships – Parley")
    assert len(chat.saved()) == 2
    await chat.reload()
    await expect(chat.page).to_have_title("Of shoes and ships – Parley")


async def test_the_next_question_carries_the_conversation_so_far(chat: Chat) -> None:
    await chat.ask("First?", reply("One."))
    await chat.ended()
    await chat.ask("Second?", reply("Two."))
    request = await chat.answers.request("Second?")
    said = [(m["role"], m["content"]) for m in request.messages]
    assert said[-3:] == [("user", "First?"), ("assistant", "One."), ("user", "Second?")]
    await expect(chat.text).to_have_text("Two.")
    await expect(chat.log.get_by_role("article")).to_have_count(4)


async def test_reasoning_is_folded_away_and_says_how_long_it_took(chat: Chat) -> None:
    thought = "Let me think. Two and two."
    script = Script(
        reply("", reasoning=thought).steps[1],
        Gate("thought"),
        Text("Four."),
        Finish(),
        Usage(),
        Done(),
    )
    await chat.ask("Two and two?", script)
    section = chat.reply.get_by_role("group")
    await expect(section.get_by_text("Thinking…")).to_be_visible()
    await expect(chat.status).to_have_text("Thinking…")
    await expect(section.get_by_text(thought)).to_be_hidden()
    await section.get_by_text("Thinking…").click()
    await expect(section.get_by_text(thought)).to_be_visible()
    chat.provider.open("thought")
    await expect(section.get_by_text(re.compile(r"^Thought for \d+(\.\d)? m?s$"))).to_be_visible()
    await expect(chat.text).to_have_text("Four.")
    await chat.reconciled()
    await expect(section.get_by_text(thought)).to_be_visible()
    await chat.reload()
    await expect(section.get_by_text(re.compile(r"^Thought for "))).to_be_visible()
    await expect(section.get_by_text(thought)).to_be_hidden()


async def test_code_is_coloured_and_links_show_where_they_lead(chat: Chat) -> None:
    await chat.ask("Show me.", reply(MARKDOWN))
    await chat.ended()
    await expect(chat.text.locator("code .k").first).to_have_text("def")
    link = chat.text.get_by_role("link", name="linked")
    assert await link.get_attribute("rel") == "noopener noreferrer nofollow"
    await expect(chat.text.locator(".link-host")).to_have_text("example.org")
    await expect(chat.text.get_by_role("checkbox").first).to_be_checked()
    await expect(chat.text.get_by_role("table")).to_contain_text("4.10")


async def test_a_text_goes_in_its_own_direction(chat: Chat) -> None:
    await chat.ask("كيف حالك؟", reply("أنا بخير، شكرا.\n\nAnd in English."))
    await chat.ended()
    gaps = """(body) => [...body.querySelectorAll("p")].map((paragraph) => {
      const range = document.createRange();
      range.selectNodeContents(paragraph);
      const [outer, inner] = [paragraph.getBoundingClientRect(), range.getBoundingClientRect()];
      return inner.left - outer.left < outer.right - inner.right ? "left" : "right";
    })"""
    assert await chat.text.evaluate(gaps) == ["right", "left"]
    asked = chat.questions.last.locator(".body")
    assert await asked.evaluate("(body) => getComputedStyle(body).unicodeBidi") == "plaintext"


async def test_a_long_title_does_not_widen_a_narrow_page(server: Server, visit: Visit) -> None:
    chat = await visit(server, viewport={"width": 390, "height": 844})
    chat.provider.title = "The sea is a vast and mysterious realm, teeming with life"
    await chat.ask("The sea?", reply("It is wide."))
    await expect(chat.page.locator("#title")).to_contain_text("mysterious realm")
    box = await chat.box.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390
