"""``/metrics`` for Prometheus: counters from the ledger, gauges of what waits, this process.

names.py      every metric: its name, its help, its labels
totals.py     counters and histograms of the whole installation, from the ledger
state.py      what waits at this moment, in the whole installation and in this process
collector.py  both in Prometheus' terms
who.py        who may read it
"""
