"""Servers of the Model Context Protocol, as their administrators configured them.

reach.py      how to reach one, with its secrets filled in
program.py    a program on this machine: its process, and that nothing of it stays
address.py    an address: the HTTP client, and what bounds it
library.py    the ``mcp`` library, imported when it is first needed, and its logs
session.py    one connection, held by a task of its own
results.py    what a call returned, as text
listing.py    which tools a server has
tools.py      those tools as the registry's
"""
