"""The charts' colours can be told apart, also by those who see fewer of them, in both themes."""

import re
from itertools import combinations
from math import dist
from pathlib import Path

import pytest

CSS = Path(__file__).resolve().parents[2] / "static" / "css"
# Machado, Oliveira and Fernandes 2009, at full severity; on linear RGB.
EYES = {
    "most people's": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "without green": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "without red": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "without blue": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
APART = 15.0  # in CIELAB, where two patches side by side differ from about 2 on
CONTRAST = 3.0  # WCAG 2.2, 1.4.11, for graphical objects

Triple = tuple[float, float, float]


def colours(theme: str) -> tuple[dict[str, Triple], Triple]:
    """The chart colours of a theme, and what they are drawn on, in linear RGB."""
    found: dict[str, Triple] = {}
    for name in ("tokens.css", "metrics.css"):
        halves = (CSS / name).read_text().split("(prefers-color-scheme: dark)")
        for key, value in re.findall(r"(--[\w-]+): (#\w{6});", halves[theme == "dark"]):
            red, green, blue = (linear(int(value[at : at + 2], 16) / 255) for at in (1, 3, 5))
            found[key] = red, green, blue
    charts = {key: value for key, value in found.items() if key.startswith("--chart-")}
    return charts, found["--surface"]


def linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def luminance(rgb: Triple) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def seen(rgb: Triple, eyes: str) -> Triple:
    """As these eyes see it, in CIELAB."""
    red, green, blue = (
        min(1.0, max(0.0, sum(a * b for a, b in zip(row, rgb, strict=True)))) for row in EYES[eyes]
    )
    x, y, z = (
        root(value)
        for value in (
            (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047,
            luminance((red, green, blue)),
            (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883,
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def root(value: float) -> float:
    return float(value ** (1 / 3)) if value > 0.008856 else 7.787 * value + 16 / 116


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("eyes", EYES)
def test_no_two_are_alike(theme: str, eyes: str) -> None:
    charts, _ = colours(theme)
    assert len(charts) == 8
    close = [
        (one, other)
        for one, other in combinations(charts, 2)
        if dist(seen(charts[one], eyes), seen(charts[other], eyes)) < APART
    ]
    assert not close


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_stands_out_from_what_it_is_drawn_on(theme: str) -> None:
    charts, surface = colours(theme)
    for name, rgb in charts.items():
        dark, bright = sorted((luminance(rgb), luminance(surface)))
        assert (bright + 0.05) / (dark + 0.05) >= CONTRAST, name
