"""From log and database to a page: rendering, fragments, and the viewers that send them.

markdown   incremental markdown → allow-listed HTML; pure
frames     ids, swaps and envelopes: how a fragment is put into the page
live       a running reply: its events → frames
changes    what is newer in a conversation than a cursor; the only part that reads the database
viewer     one open page: waits for rings and events, sends frames
consumers  the WebSocket; authorises and forwards
"""
