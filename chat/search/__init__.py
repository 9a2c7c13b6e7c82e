"""Full-text search of what was said, with the database's own means.

terms.py     what was typed, as words, phrases and beginnings of words
index.py     which messages have them; and the index's upkeep
sqlite.py    FTS5
postgres.py  tsvector and GIN
excerpt.py   the passage of a text where they stand

Triggers keep the index: a message is entered when it is inserted with a text, a reply when its
receipt is, so that nothing is indexed anew with every second of a stream.
"""
