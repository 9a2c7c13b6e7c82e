"""The whole path in a real browser: Chromium, the server as a child process, the fake provider.

prepare.py      what all servers of a run share: a migrated database with people, static files
server.py       a server of our own, started and stopped as an operator would
browser.py      Chromium, and what no page may do: errors, policy violations, foreign requests
chat.py         the page as a person meets it: by roles and names
screenshots.py  the pictures in docs/, from sample conversations
"""
