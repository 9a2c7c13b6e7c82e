"""The whole HTML of a finished text."""

import pytest

from chat.delivery.markdown import Labels, render
from chat.delivery.markdown.code import COLOURED, MAX_COLOURED
from chat.delivery.markdown.links import destination
from chat.delivery.markdown.render import MAX_INLINE
from tests.delivery.markdown_page import read, words

LINK = 'target="_blank" rel="noopener noreferrer nofollow"'


def test_paragraphs_and_inline_markup_are_rendered():
    assert render("**b** *i* ~~s~~ `c`\n\nnext") == (
        "<p><strong>b</strong> <em>i</em> <s>s</s> <code>c</code></p>\n<p>next</p>\n"
    )


def test_a_line_end_in_a_paragraph_is_a_line_break():
    assert render("one\ntwo") == "<p>one<br>\ntwo</p>\n"


def test_raw_html_shows_as_text():
    assert render("a <b>c</b>\n\n<div>\nx") == (
        "<p>a &lt;b&gt;c&lt;/b&gt;</p>\n<p>&lt;div&gt;<br>\nx</p>\n"
    )


def test_quotes_and_dashes_stay_as_they_are_written():
    assert render("\"a\" -- 'b'... (c)") == "<p>\"a\" -- 'b'... (c)</p>\n"


@pytest.mark.parametrize(
    ("level", "shown"), [(1, "h3"), (2, "h4"), (3, "h5"), (4, "h6"), (5, "h6"), (6, "h6")]
)
def test_headings_stand_below_the_pages_own(level: int, shown: str):
    assert render("#" * level + " Title") == f"<{shown}>Title</{shown}>\n"


def test_a_table_can_be_scrolled_by_keyboard_and_has_a_name():
    html = render("| a | b |\n|---|--:|\n| 1 | 2 |", Labels(table="Ta<ble"))
    assert html.startswith(
        '<div class="table-wrap" tabindex="0" role="region" aria-label="Ta&lt;ble"><table>'
    )
    assert '<td>1</td>\n<td class="align-right">2</td>' in html
    assert html.endswith("</table></div>\n")


def test_short_rows_cannot_blow_a_table_up():
    table = "|" + "a|" * 250 + "\n|" + "-|" * 250 + "\n" + "|\n" * 250
    assert len(render(table)) < 60_000


def test_task_list_items_are_disabled_and_named():
    html = render("- [x] a\n- [ ] b", Labels(task_done="Ja", task_open="Nein"))
    boxes = [attributes for tag, attributes in read(html).tags if tag == "input"]
    assert [(box["aria-label"], "checked" in box) for box in boxes] == [
        ("Ja", True),
        ("Nein", False),
    ]
    assert all("disabled" in box and box["type"] == "checkbox" for box in boxes)


# Code


def test_a_code_block_names_its_language_and_can_be_copied():
    html = render("```python\nif x: pass\n```", Labels(copy="Kopieren"))
    assert html == (
        '<div class="code-block"><div class="code-head"><span class="code-lang">python</span>'
        '<button type="button" class="copy-code">Kopieren</button></div>'
        '<pre tabindex="0"><code class="highlight language-python"><span class="k">if</span> x: '
        '<span class="k">pass</span>\n</code></pre></div>\n'
    )


@pytest.mark.parametrize("info", ['"onx=1', "a" * 33, "<b>", "päth", "a&b"])
def test_a_language_that_is_not_a_plain_name_is_not_shown(info: str):
    html = render(f"```{info}\nx\n```")
    assert '<span class="code-lang"></span>' in html
    assert '<code class="highlight">x\n</code>' in html


def test_an_unknown_language_is_shown_but_makes_no_class():
    html = render("```klingon\nx < y\n```")
    assert '<span class="code-lang">klingon</span>' in html
    assert '<code class="highlight">x &lt; y\n</code>' in html


@pytest.mark.parametrize("language", ["python", "js", "html", "bash", "json", "sql", "c++", "diff"])
@pytest.mark.parametrize(
    "code", ['\n\n  a = \'b\' < 3 &amp; """ \n\n\n', "x", "\tif (a) {\n\t}\n\n"]
)
def test_highlighting_changes_no_character_of_the_code(language: str, code: str):
    html = render(f"~~~{language}\n{code}\n~~~")
    assert "".join(read(html).text).removesuffix("\n") == code + "\n"


def test_code_that_breaks_off_gets_no_line_end():
    assert "".join(read(render("```python\nx = 1")).text).removesuffix("\n") == "x = 1"


@pytest.mark.parametrize("language", sorted(COLOURED))
def test_every_language_that_is_coloured_has_a_class(language: str):
    assert f'class="highlight language-{language}"' in render(f"```{language}\nx = 1;\n```")


@pytest.mark.parametrize("code", ["a\n" * 300, "\n" * 500, "-" * 500, "a " * 300])
def test_code_that_would_keep_a_highlighter_busy_is_not_highlighted(code: str):
    assert '<span class="k">' in render("```python\nif x: pass\n```")
    assert '<span class="k">' not in render(f"```python\nif x: pass\n{code}\n```")


def test_long_code_is_not_highlighted():
    html = render("```python\n" + "if x: pass\n" * (MAX_COLOURED // 10) + "```")
    assert '<span class="k">' not in html
    assert html.count("if x: pass") == MAX_COLOURED // 10


# Links and images


def test_a_link_shows_its_host_and_is_cut_off_from_this_page():
    assert render("[docs](https://User:pw@Example.COM:8080/a?b#c 'title')") == (
        f'<p><a href="https://User:pw@Example.COM:8080/a?b#c" {LINK}>docs</a>'
        '<span class="link-host">example.com</span></p>\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/path",
        "<https://example.com/path>",
        "[example.com](https://example.com/path)",
        "[**Example.com**](https://example.com/path)",
        "[https://example.com](https://example.com/path)",
    ],
)
def test_a_link_whose_text_is_its_host_does_not_repeat_it(text: str):
    html = render(text)
    assert "<a " in html
    assert "link-host" not in html


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("[bank.com](https://evil.example)", "evil.example"),
        ("[https://bank.com/?x=evil.example](https://evil.example)", "evil.example"),
        ("[evil.example.bank.com](https://evil.example)", "evil.example"),
        ("https://bank.com@evil.example/", "evil.example"),
        ("[аррӏе.com](https://аррӏе.com)", "xn--80ak6aa92e.com"),
        ("https://аррӏе.com", "xn--80ak6aa92e.com"),
        ("[write us](mailto:evil@evil.example?subject=x)", "evil@evil.example"),
        ("[support@bank.com](mailto:evil@evil.example)", "evil@evil.example"),
        ("[bank.com](http://bank.com\\\\@evil.example)", "evil.example"),
        ("[x](http://[::1]:80/)", "[::1]"),
    ],
)
def test_a_link_whose_text_says_something_else_shows_where_it_leads(text: str, host: str):
    assert f'</a><span class="link-host">{host}</span>' in render(text)


def test_a_link_without_text_shows_its_host():
    assert (
        render("[](http://a.example)")
        == f'<p><a href="http://a.example" {LINK}>a.example</a></p>\n'
    )


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://a.b",
        "/relative",
        "#fragment",
        "//host",
        "http:host",
        "http:/host",
        "http:///host",
        "http://ex%61mple.com",
        "mailto:nobody",
    ],
)
def test_a_link_with_a_forbidden_target_becomes_its_text(target: str):
    assert render(f"a [*text*]({target}) b") == "<p>a <em>text</em> b</p>\n"


def test_what_only_looks_like_an_address_in_brackets_stays_text():
    assert render("<std::vector>") == "<p>&lt;std::vector&gt;</p>\n"


@pytest.mark.parametrize(
    "text",
    ["example.com", "www.example.com", "me@example.com", "ftp://a.b", "//a.b", "xhttp://a.b"],
)
def test_only_explicit_web_and_mail_addresses_become_links(text: str):
    assert "<a " not in render(text)


def test_an_endless_address_stays_text():
    assert "<a " not in render("https://a.example/" + "x" * 3_000)


@pytest.mark.parametrize(
    ("href", "shown"),
    [
        ("http://a.b", "a.b"),
        ("HTTPS://user@A.b:8080/?@c.d", "a.b"),
        ("http://user:x@y@a.b#@c.d", "a.b"),
        ("mailto:me@a.b?cc=you@c.d", "me@a.b"),
        ("http://a.b\\@c.d", None),
        ("http://a.b/\t", None),
        ("http://a b", None),
        ("http://é.b", None),
        ("http://", None),
        ("mailto:", None),
        ("javascript:http://a.b", None),
        (" http://a.b", None),
    ],
)
def test_a_target_is_shown_as_a_browser_reads_it(href: str, shown: str | None):
    assert destination(href) == shown


def test_an_address_with_underscores_stays_whole():
    html = render("see https://example.com/__init__.py, **https://a.b/** and (https://c.d/e_(f)).")
    assert [attributes["href"] for tag, attributes in read(html).tags if tag == "a"] == [
        "https://example.com/__init__.py",
        "https://a.b/",
        "https://c.d/e_(f)",
    ]


def test_an_image_becomes_a_link():
    assert render("![a *cat*](https://img.example/c.png)", Labels(image="Bild")) == (
        f'<p><a href="https://img.example/c.png" class="image-link" {LINK}>Bild: a cat</a>'
        '<span class="link-host">img.example</span></p>\n'
    )


def test_an_image_in_a_link_becomes_text():
    assert render("[![build](http://a.b/c.svg)](https://ci.example)") == (
        f'<p><a href="https://ci.example" {LINK}>Image: build</a>'
        '<span class="link-host">ci.example</span></p>\n'
    )


def test_a_forbidden_image_becomes_text():
    assert render("![](data:image/png;base64,AAAA)") == "<p>Image</p>\n"


# Bounds


@pytest.mark.parametrize("text", [">" * 200 + " deep **text**", "- " * 100 + "deep **text**"])
def test_what_nests_too_deeply_is_shown_as_it_stands(text: str):
    assert words(render(f"before\n\n{text}\n\nafter")) == "beforedeeptetafter"


def test_an_endless_paragraph_is_shown_without_markup():
    html = render("**word** " * (MAX_INLINE // 9 + 1) + "\n\n**end**")
    assert html.count("**word**") == MAX_INLINE // 9 + 1
    assert html.endswith("<p><strong>end</strong></p>\n")


@pytest.mark.parametrize(
    "sign", [">", "[", "![", "*", "_", "`", "<", "&", "\\", "- ", "|", "~", "("]
)
def test_ten_thousand_signs_in_a_row_are_survived(sign: str):
    assert "end" in render(sign * 10_000 + "\n\nend")


def test_labels_are_part_of_what_is_cached():
    assert "Kopieren" in render("```\nx\n```", Labels(copy="Kopieren"))
    assert "Copy" in render("```\nx\n```")
