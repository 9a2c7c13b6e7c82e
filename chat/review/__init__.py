"""Review: a person reads what was said, and decides.

who.py         who may; the group of reviewers
queue.py       what waits for a reviewer, and why
listing.py     the lists that reviewers work through; filters.py narrows them
titles.py      what a conversation is called there
assignment.py  who works on an item
opening.py     a transcript is opened for a purpose, and each look is written down
transcript.py  a conversation as reviewers read it: tree, facts, badges, scores, units, passages
decisions.py   what is decided, by one reviewer or by two; redaction.py takes a passage out
pseudonyms.py  who wrote, where reviewing is anonymous
"""
