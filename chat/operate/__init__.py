"""What the operator's status page shows: this process, the queue, the backlog, how replies end.

who.py      who may see it
process.py  this process: version, uptime, open pages, what it depends on
figures.py  the figures of the whole installation, from the rows
tables.py   both as tables, in words
stream.py   the pieces of the streaming test
"""
