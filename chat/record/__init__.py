"""The custody of the record: who looked at it, what must be kept, how it leaves.

access_log.py  the append-only, hash-chained log of who read what, and its verification
"""
