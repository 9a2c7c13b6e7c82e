"""HTML as a reader sees it, in time that grows with the page and no faster."""

import time

import pytest

from chat.tools.pages.readable import readable


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("", ""),
        ("just text", "just text"),
        ("<p>One<p>Two", "One\nTwo"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("<b>bo</b>ld <a href='x>y'>li</a>nk", "bold link"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("<tr><td>1</td><td>2</td></tr>", "1 2"),
        ("x<script>if (a < b) alert('</p>')</script>y<style>p{}</style>z", "x\ny\nz"),
        ("x<SCRIPT>hidden</ScRiPt >y", "x\ny"),
        ("x<script>never closed", "x"),
        ("x<!-- <p>no</p> -->y", "xy"),
        ("x<!-- never closed", "x"),
        ("<!doctype html>x<?php a ?>y", "xy"),
        ("1 < 2 &lt; 3 &amp;amp; &copy;", "1 < 2 < 3 &amp; ©"),
        ('<p title="unclosed>text', "text"),
        ("<p", ""),
        ("İ<p>İ", "İ\nİ"),
        ("a \n\n  b\t c", "a\nb c"),
    ],
)
def test_what_a_reader_sees(page: str, text: str) -> None:
    assert readable(page) == text


@pytest.mark.parametrize(
    "piece",
    ["<div>", "<", "<a '", '<a "', "<a '\">", "<!--", "<script>", "<!", "</", "&", "<p a=", "<svg"],
)
def test_no_page_takes_long(piece: str) -> None:
    page = (piece * 1_000_000)[:1_000_000]
    started = time.process_time()
    readable(page)
    assert time.process_time() - started < 5
