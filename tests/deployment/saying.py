"""A word said in every place where a conversation has room for one."""

import json
import subprocess
import sys
import uuid
from urllib.parse import urlencode

from tests.e2e.server import ROOT, Child, Person, Server
from tests.fake_provider import (
    Done,
    FakeProvider,
    Finish,
    Reasoning,
    Script,
    Status,
    Text,
    tool_call,
)
from tests.visitor import Visitor, ask_soon

GRANT = """
from django.contrib.auth.models import Permission
from chat.models import User
user = User.objects.get(username={name!r})
user.user_permissions.add(Permission.objects.get(codename="review_transcripts"))
"""
# The log in Redis outlives a reply by a minute, and so does the reply: hurry that up.
LONG_AGO = """
from datetime import timedelta
from django.db.models import F
from chat.models import Generation
Generation.objects.update(finished_at=F("finished_at") - timedelta(hours=1))
"""


def manage(child: Child, *command: str) -> str:
    """A command beside a running process, on its database."""
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=child.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def say_everywhere(
    server: Server, provider: FakeProvider, person: Person, word: str
) -> list[str]:
    """In a conversation on a page and one through the API, by their paths.

    In question, idempotency key, thoughts, answer, title, an error, a report with its answer, in a
    program's messages, tools, calls and results.
    """
    # In one piece, to be found in Redis too.
    told = Script(
        Reasoning(f"Of {word}.", size=99), Text(f"So: {word}.", size=99), Finish(), Done()
    )
    provider.script(told)
    visitor = Visitor(server.url, person)
    assert (await visitor.send(f"Tell me about {word}", key=f"key-of-{word}")).status == 200
    reply = await visitor.ended()
    assert (await visitor.post("rename", title=f"About {word}")).status == 200
    provider.script(Script(Status(400, body={"error": {"message": f"No {word} here"}})))
    await visitor.send(f"And {word} again?")
    await visitor.ended()
    provider.script(told)
    assert (await visitor.post(f"messages/{reply['id']}/feedback/bad")).status in (200, 204)
    report = await visitor.post(
        f"messages/{reply['id']}/report", complaint="other", note=f"It says {word}"
    )
    assert report.status in (200, 204), report
    await _dismiss(server, visitor.path, reply["id"], f"{word} is harmless")
    return [visitor.path, await _through_the_api(server, provider, person, word)]


async def _dismiss(server: Server, path: str, message: int, note: str) -> None:
    """As a reviewer; what waits for one is not purged."""
    manage(server, "shell", "-c", GRANT.format(name=server.administrator.name))
    desk = Visitor(server.url, server.administrator)
    desk.path = path.replace("/c/", "/review/")
    assert (await desk.post("purpose", reason="queue")).status in (200, 302)
    seen = "0"
    decided = await desk.post(f"messages/{message}/decide", kind="dismiss", note=note, seen=seen)
    assert decided.status in (200, 204, 302), decided


async def _through_the_api(
    server: Server, provider: FakeProvider, person: Person, word: str
) -> str:
    key = manage(server, "api_key", person.name).split()[-1]
    arguments = json.dumps({"who": word})
    provider.script(Script(*tool_call("find", arguments, size=99), Finish("tool_calls"), Done()))
    called = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "find", "arguments": arguments},
    }
    find = {"name": "find", "description": f"Finds {word}", "parameters": {"type": "object"}}
    body = {
        "model": "fake",
        "messages": [
            {"role": "system", "content": f"You know {word}"},
            {"role": "user", "content": f"Find {word}"},
            {"role": "assistant", "content": None, "tool_calls": [called]},
            {"role": "tool", "tool_call_id": "call_1", "content": f"{word} was found"},
        ],
        "tools": [{"type": "function", "function": find}],
        "user": word,
    }
    answer = await ask_soon(
        f"{server.url}/v1/chat/completions",
        "POST",
        json.dumps(body).encode(),
        Authorization=f"Bearer {key}",
        Content_Type="application/json",
    )
    assert answer.status == 200, answer.text
    return f"/c/{uuid.UUID(json.loads(answer.body)['id'].removeprefix('chatcmpl-'))}/"


async def delete_all(server: Server, person: Person) -> None:
    """By the button on the page "Your data"."""
    visitor = Visitor(server.url, person)
    token = visitor.fields["csrfmiddlewaretoken"]
    answer = await ask_soon(
        f"{server.url}/accounts/data/",
        "POST",
        urlencode({"csrfmiddlewaretoken": token, "sure": "on"}).encode(),
        Cookie=f"{person.cookie}; csrftoken={token}",
        Content_Type="application/x-www-form-urlencoded",
        Origin=server.url,
    )
    assert answer.status == 302, answer
