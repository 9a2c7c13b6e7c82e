"""The OpenAI-compatible API: ``/v1/chat/completions`` and ``/v1/models``, with keys.

    errors.py       what is answered instead, as OpenAI's error objects
    keys.py         make, find, revoke
    requests.py     the body of a request, checked; transcripts.py its messages as rows
    actions.py      accept a request in one transaction; what became of its reply
    follow.py       the reply, followed by its log to the end; who leaves early stops it
    chunks.py       events → chunks and completions in OpenAI's form; pure
    completion.py   the response, whose status waits for the first token
    views.py        the endpoints

What comes this way is saved, moderated and proven like what is asked on a page. Nothing here looks
at a session: a key is the only way in.
"""
