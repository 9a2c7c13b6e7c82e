"""``manage.py tool_servers``"""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.tools.conftest import over_stdio

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_asks_all_and_prints_a_table() -> None:
    over_stdio(name="good").save()
    over_stdio(name="off", command="/nonexistent", enabled=False).save()
    out = StringIO()
    call_command("tool_servers", stdout=out)
    heading, good, off = out.getvalue().splitlines()
    assert heading.split() == ["SERVER", "TOOLS", "STATE", "NAMES"]
    assert good.startswith("good    ")
    assert "ok        echo, add, stall" in good
    assert off.split() == ["off", "0", "disabled"]


def test_it_fails_when_one_cannot_be_asked() -> None:
    over_stdio(name="bad", command="/nonexistent").save()
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 1"):
        call_command("tool_servers", stdout=out)
    assert "could not be started" in out.getvalue()


def test_nothing_to_ask() -> None:
    out = StringIO()
    call_command("tool_servers", stdout=out)
    assert "No tool server" in out.getvalue()
