"""Moderation of transcripts: what backends say of a text, and what the policy makes of it.

    base.py         results, and what a backend may raise
    policy.py       from categories and scores to an action; pure
    registry.py     the backends by name
    local.py        own word list and patterns; rules.py reads them, fold.py undoes disguises
    openai.py       OpenAI's endpoint
    judge.py        a model as judge; injection.py finds what addresses it
    operator.py     the operator's rules: words.py, personal.py, credentials.py, expressions
    stream.py       windows of a reply that is being written

Nothing here knows the database; ``chat.policy`` loads what an operator has set.
"""
