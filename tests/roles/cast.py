"""Everybody who may knock: one of each role, and a world that holds a secret of Ada's."""

import uuid
from dataclasses import dataclass, field

from django.contrib.auth.models import Group, Permission
from django.test import Client

from chat import assistants
from chat.models import (
    AccessKind,
    ApiKey,
    AssistantVersion,
    Conversation,
    LegalHold,
    Message,
    ToolCall,
    User,
    Visibility,
)
from chat.models.api import digest, new_key
from chat.record import access_log, holds, purge
from chat.review import queue, who
from tests.admin.rows import make_conversation, reply, say
from tests.conftest import make_user
from tests.review.conftest import PURPOSE, grant

SECRET = "heron-5e1c90"  # in all that Ada's conversation says, and in its title

ROLES = (
    "anonymous",
    "api key",
    "inactive",
    "member",
    "owner",
    "reviewer",  # has given no purpose
    "reading reviewer",  # has given one
    "group reviewer",  # of the group Reviewers, who may export; with a purpose
    "own reviewer",  # may review, and the conversation is his own
    "holder",
    "staff",
    "auditor",  # staff who may view every record of the administration
    "operator",
    "superuser",
)
OUTSIDE = ("anonymous", "api key", "inactive")  # are asked to sign in


@dataclass
class World:
    """Two conversations, Ada's and one of a reviewer's; what the addresses need to name them."""

    conversation: Conversation
    message: Message
    key: ApiKey
    hold: LegalHold
    assistant: int
    clients: dict[str, Client] = field(default_factory=dict)
    names: dict[str, dict[str, object]] = field(default_factory=dict)


def tell(owner: User) -> tuple[Conversation, Message]:
    """A conversation that waits for a reviewer, with the secret wherever it may stand."""
    conversation = make_conversation(owner, f"About {SECRET}")
    asked = say(conversation, f"Who is {SECRET}?", send_key=uuid.uuid4().hex)
    answer = reply(
        asked,
        f"It is {SECRET}.",
        reasoning=f"I know {SECRET}.",
        verdict="flagged",
        scores={"harassment": 0.9},
        error_detail=f"{SECRET} failed",
    )
    ToolCall.objects.create(
        message=answer,
        number=0,
        round=1,
        offset=0,
        name="find",
        arguments=f'{{"who": "{SECRET}"}}',
        state="done",
        result=f"{SECRET} is found",
    )
    queue.put(answer.pk, flagged=True, score=0.9)
    return conversation, answer


def make_world() -> World:
    people = {role: make_user(role.replace(" ", "-")) for role in ROLES if role not in OUTSIDE[:2]}
    ada = people["owner"]
    conversation, message = tell(ada)
    mine, mine_message = tell(people["own reviewer"])
    for role in ("inactive", "reviewer", "reading reviewer", "own reviewer", "holder"):
        grant(people[role], who.REVIEW)
    grant(people["holder"], who.HOLD)
    people["group reviewer"].groups.add(Group.objects.get(name=who.GROUP))
    staff = ("staff", "auditor", "operator", "superuser")
    User.objects.filter(pk__in=[people[role].pk for role in staff]).update(is_staff=True)
    User.objects.filter(pk=people["superuser"].pk).update(is_superuser=True)
    people["auditor"].user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    people["auditor"].user_permissions.remove(*Permission.objects.filter(codename="view_status"))
    grant(people["operator"], "view_status")
    draft = AssistantVersion(name=f"The {SECRET}", instructions=f"Guard {SECRET}.")
    made = assistants.create(ada, draft, Visibility.PRIVATE)
    text = new_key()
    key = ApiKey.objects.create(owner=ada, name=SECRET, shown=text[:13], sha256=digest(text))
    hold = holds.place(people["holder"], f"About {SECRET}", on=conversation)
    buried = make_conversation(ada)
    purge.purge(buried, purge.REQUESTED)
    access_log.note(ada, AccessKind.EXPORT, purpose=f"For {SECRET}")
    world = World(conversation, message, key, hold, made.pk)
    for role in ROLES:
        client = Client()
        if role == "api key":
            client = Client(headers={"Authorization": f"Bearer {text}"})
        elif role != "anonymous":
            client.force_login(people[role])
        here, reply_here = (
            (mine, mine_message) if role == "own reviewer" else (conversation, message)
        )
        world.clients[role] = client
        world.names[role] = {
            "conversation_id": here.pk,
            "message_id": reply_here.pk,
            "assistant_id": made.pk,
            "key_id": key.pk,
            "hold_id": hold.pk,
        }
        if role in ("reading reviewer", "group reviewer", "own reviewer", "holder"):
            client.post(f"/review/{here.pk}/purpose", PURPOSE)
    User.objects.filter(pk=people["inactive"].pk).update(is_active=False)
    return world
