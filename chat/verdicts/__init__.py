"""Verdicts: awaited with the message, decided once, and what follows from them. Synchronous.

rows.py      what a backend's result and the policy make of a verdict; what several come to
opinions.py  opinions written down: given, given anew, given up
effects.py   what follows: withheld and restored, titles, the receipt, the reviewers' queue

``chat.reconcile`` asks the backends that ask nobody, ``chat.pending`` all others, and
``chat.remoderate`` asks again when the policy or the rules have changed.
"""

from chat.verdicts.effects import MODERATION, announce, is_blocked, lifted
from chat.verdicts.opinions import decide, give_up, revise, unasked, write_down_passed
from chat.verdicts.rows import (
    BATCH,
    BLOCKING,
    WORKERS_S,
    Found,
    Place,
    Weighed,
    acted,
    direction_of,
    expect,
    made,
    opinion,
    weigh,
)

__all__ = [
    "BATCH",
    "BLOCKING",
    "MODERATION",
    "WORKERS_S",
    "Found",
    "Place",
    "Weighed",
    "acted",
    "announce",
    "decide",
    "direction_of",
    "expect",
    "give_up",
    "is_blocked",
    "lifted",
    "made",
    "opinion",
    "revise",
    "unasked",
    "weigh",
    "write_down_passed",
]
