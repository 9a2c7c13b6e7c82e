"""The operator's pages: how this installation does at this moment, and how it did in a while.

The status page: this process, the queue, the backlog, how replies end.

who.py      who may see it
process.py  this process: version, uptime, open pages, what it depends on
figures.py  the figures of the whole installation, from the rows
tables.py   both as tables, in words
stream.py   the pieces of the streaming test

The metrics page: times, counts and cost, from the ledger.

periods.py    what is asked for: how far back, of which model and transport
measures.py   the figures
spending.py   usage and cost by day, model, purpose, user and group
charts.py     a chart, and the table behind it
tiles.py      the headline figures
dashboard.py  all charts of the page
"""
