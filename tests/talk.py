"""Conversations without a worker: what was asked, and replies as a worker would leave them."""

import uuid

from django.utils import timezone

from chat import actions, reconcile
from chat.models import Generation, Message, State, User
from chat.record import seals


def ask(user: User, text: str = "Hello?", conversation: uuid.UUID | None = None) -> Message:
    """A question of this user; the reply to it is queued."""
    conversation = conversation or uuid.uuid4()
    key = uuid.uuid4().hex
    return actions.send(user, conversation, text, key, may_create=True).message


def end(
    conversation: uuid.UUID, text: str = "", state: State = State.COMPLETE, finish: str = "stop"
) -> Message:
    """The reply that was waited for, as the worker leaves it."""
    generation = Generation.objects.get(conversation=conversation, state=State.QUEUED)
    Message.objects.filter(pk=generation.message_id).update(text=text)
    Generation.objects.filter(pk=generation.pk).update(
        state=state, finish_reason=finish, finished_at=timezone.now()
    )
    return Message.objects.get(pk=generation.message_id)


def talk(user: User, reply: str = "Hi.", **how: object) -> tuple[uuid.UUID, Message, Message]:
    """A conversation of one question and its reply."""
    asked = ask(user)
    return asked.conversation_id, asked, end(asked.conversation_id, reply, **how)  # type: ignore[arg-type]


def prove(message: Message) -> Message:
    """A reply with its receipt and its seal, as reconciling leaves it."""
    rows = Generation.objects.filter(message=message)
    rows.update(reconciled_at=timezone.now())
    generation = rows.select_related("conversation", "assistant").get()
    reconcile.write(generation, reconcile.whole_of(message), {})
    seals.seal(generation.conversation_id, generation.pk)
    return message
