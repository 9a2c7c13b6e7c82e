"""Parley's one application: from a question to a receipt.

    browser ──POST──▶ views ──▶ actions ──row + doorbell──▶ worker ──HTTP stream──▶ provider
       ▲                                                      │
       │                                                      ▼ typed events, numbered
       └──WebSocket◀── delivery ◀──────subscribe──────────── log ──(ended)──▶ reconcile
                                                                               │
                                               transcript, verdict, receipt ◀──┘

``api`` is another way in, for programs; ``tools`` is what a model may call.
``engine`` and ``delivery.markdown`` are pure: no Django, no HTTP server, no channel layer.
``models`` hold the truth; ``access`` is the one door to them, ``actions`` the one place that
changes them for a person, ``worker`` the one that does for a running reply, ``reconcile`` the one
that does after it. ``review`` is where people decide on what was said, ``record`` how it is kept,
exported and purged. ``services`` starts what a serving process runs beside its requests.
"""
