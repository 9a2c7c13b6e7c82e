"""Tools that a model may call.

    base.py          what a tool is, and how it says that it could not
    functions.py     a tool from a typed Python function
    registry.py      the door: which tools there are
    dates.py  calculator.py  conversations.py  page.py    the built-in ones
    pages/           what ``fetch_page`` may reach, how it connects, what it reads
    servers/         tools of other programs, over the Model Context Protocol
    mcp_sessions.py  the connections to those servers that one reply holds
    schemas.py       arguments against a stranger's JSON Schema

What a tool returns is a stranger's text: it is shown and sent to the model as text, never as HTML.
"""
