"""The worker: claims queued generations, runs their turns, saves what they write.

claim.py    queued rows → jobs, by conditional UPDATE
patrol.py   stop requests, lost claims, pages that have gone
writer.py   the one write-behind task: partial texts and heartbeats, twice a second
finish.py   the terminal state, in one transaction
worker.py   the loop that ties them together; stop and drain
"""

from chat.worker.worker import Worker

__all__ = ["Worker"]
