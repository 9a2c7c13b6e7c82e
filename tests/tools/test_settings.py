"""The tools' variables are checked at the start."""

import pytest

from tests.test_configuration import start


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TOOL_TIMEOUT", "0"),
        ("TOOL_FETCH_HOSTS", "https://example.org"),
        ("TOOL_FETCH_HOSTS", "example.org,a:99999"),
    ],
)
def test_a_bad_value_stops_the_start(variable: str, value: str) -> None:
    result = start(**{variable: value})
    assert result.returncode != 0
    assert f"  {variable}: " in result.stderr
    assert "Traceback" not in result.stderr


def test_hosts_are_a_list() -> None:
    assert start(TOOL_FETCH_HOSTS="example.org, *.example.org,[2606:4700::1]:8080").returncode == 0
