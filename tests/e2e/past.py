"""A month of use, for the pictures: `python -m tests.e2e.past` in the environment of a server.

The conversations that are there were had for real; the usage of the days before is made up, and the
first person becomes a reviewer with something to decide.
"""

import math
import os
import random
from datetime import timedelta

DAYS, A_DAY = 30, 60
# Model, share, median TTFT in ms, tokens per second.
MODELS = (("gpt-oss-120b", 0.6, 420, 62), ("qwen3-32b", 0.4, 310, 88))


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    import django

    django.setup()
    from django.contrib.auth.models import Group

    from chat.models import Message, User
    from chat.review import queue

    ada = User.objects.get(username="ada")
    ada.groups.add(Group.objects.get(name="Reviewers"))
    replies = list(Message.objects.filter(role="assistant").order_by("pk"))
    reasons = ({"flagged": True, "score": 0.81}, {"reported": True}, {"sampled": True})
    for message, reason in zip(replies, reasons, strict=False):
        queue.put(message.pk, **reason)  # type: ignore[arg-type]
    _usage(ada)


def _usage(user: object) -> None:
    from django.utils import timezone

    from chat.ledger import cost
    from chat.models import Usage

    chance, now, rows = random.Random(7), timezone.now(), []
    for number in range(DAYS * A_DAY):
        at = now - timedelta(days=DAYS * (1 - number / (DAYS * A_DAY)))
        model, _, ttft, speed = chance.choices(MODELS, [m[1] for m in MODELS])[0]
        load = 1 + 0.4 * math.exp(-(((at.hour - 14) / 4) ** 2))
        provider = ttft * load * chance.lognormvariate(0, 0.35)
        served = provider + chance.lognormvariate(3, 0.4)
        state = chance.choices(["complete", "stopped", "failed"], [94, 4, 2])[0]
        tokens = int(chance.lognormvariate(5.6, 0.6))
        rows.append(
            Usage(
                generation_id=10**9 + number,
                user=user,
                ended_at=at,
                purpose="reply",
                model=model,
                transport=chance.choices(["websocket", "api"], [85, 15])[0],
                state=state,
                stop_reason="user" if state == "stopped" else "",
                error_kind="rate_limited" if state == "failed" else "",
                calls=1,
                prompt_tokens=3 * tokens,
                completion_tokens=tokens,
                cost=cost(model, 3 * tokens, tokens),
                ttft_provider_ms=provider,
                ttft_served_ms=served,
                ttft_perceived_ms=served + chance.lognormvariate(3.6, 0.4),
                inter_token_p95_ms=2_000 / speed * load,
                tokens_per_second=speed / load,
            )
        )
    Usage.objects.bulk_create(rows)


if __name__ == "__main__":
    main()
