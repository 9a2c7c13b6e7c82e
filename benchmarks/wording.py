"""Figures as words."""

import math


def number(value: float) -> str:
    """With about three digits."""
    if math.isnan(value):
        return "–"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def ms(value: float) -> str:
    return f"{number(value)} ms"


def compared(alone: float, beside: float, unit: str) -> str:
    return f"{number(alone)} → {number(beside)} {unit} (× {beside / alone:.2f})"
