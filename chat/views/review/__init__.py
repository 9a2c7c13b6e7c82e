"""The reviewers' pages.

door.py        who gets in, and who is hidden from whom
queue.py       the lists, with search and filters
transcript.py  a conversation, opened for a purpose
decide.py      assignment and decisions
custody.py     exports and legal holds
"""

from chat.views.review import custody, decide, queue, transcript

__all__ = ["custody", "decide", "queue", "transcript"]
