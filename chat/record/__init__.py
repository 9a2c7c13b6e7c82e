"""The custody of the record: who looked at it, what must be kept, how it leaves.

access_log.py  the log of who read what
seals.py       what the record held of each reply when it ended; both are chains: chain.py
holds.py       legal holds, which stand above every purge
purge.py       what is due, taking it out, and the tombstone; policy.py tells people
document.py    a conversation as plain data, for its owner or for reviewers
export.py      archives of many; archive.py makes them while they are sent
signing.py     the signature under an export; checking.py holds an export against it
"""
