"""What may go wrong, injected for real against `manage.py serve` and what stands around it.

Everything is done from outside, by HTTP, WebSocket, event stream and export; the database file is
looked into for what cannot be seen otherwise. docs/testing.md says which fault is proven where.

dom.py       a page's elements and the little of htmx that its stream needs
tab.py       an open page over either transport: what it shows, and when it was told what
people.py    who sends, stops and reads
"""
