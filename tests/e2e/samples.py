"""Conversations as people have them, for the pictures in docs/."""

import json
from dataclasses import dataclass

from tests.fake_provider import Done, Finish, Script, Text, reply, tool_call


@dataclass(frozen=True)
class Sample:
    title: str
    question: str
    answer: str
    reasoning: str = ""


SLOW_QUERY = Sample(
    title="Finding the slow query",
    question=(
        "Our nightly report takes 40 minutes since the orders table grew. "
        "How do I find out which query is the slow one?"
    ),
    reasoning=(
        "They run PostgreSQL, most likely. pg_stat_statements answers the question directly; then "
        "EXPLAIN for the worst one. Keep it short, and say what each number means."
    ),
    answer="""\
Let the database tell you. PostgreSQL keeps a record of every statement once \
[`pg_stat_statements`](https://www.postgresql.org/docs/current/pgstatstatements.html) is on:

```sql
SELECT calls, round(mean_exec_time) AS ms, query
FROM pg_stat_statements
ORDER BY total_exec_time DESC  -- the ones that cost most in sum
LIMIT 5;
```

Run the job once, then look at the first rows. What they usually mean:

| what you see | likely cause | first thing to try |
| :-- | :-- | :-- |
| few calls, seconds each | a missing index | `EXPLAIN (ANALYZE, BUFFERS)` |
| many calls, 1 ms each | one query per row | fetch them in one go |
| time grows every night | no `VACUUM` keeps up | autovacuum settings |

For the worst one, compare *estimated* with *actual* rows in the plan. If they are far apart, \
run `ANALYZE orders` first: it takes a minute and often is all it needs.
""",
)

OTHERS = (
    Sample("Minutes of the planning meeting", "Turn these notes into minutes, please.", "Gladly."),
    Sample("Onboarding checklist", "What does a new colleague need in week one?", "A laptop."),
    Sample("Renewing TLS certificates", "How do I renew certificates without downtime?", "Reload."),
    Sample("Holiday cover in August", "Who covers support in August?", "Ask the roster."),
)

INVOICE = "We ordered 24 chairs at 189.50 each, with 19 % tax. What will the invoice say?"
INVOICE_CALL = Script(
    Text("I will work out the total."),
    *tool_call("calculator", '{"expression": "24 * 189.50 * 1.19"}'),
    Finish("tool_calls"),
    Done(),
)
MEETING = (
    "Ada and Grace met on 3 March. They will move the backups to Berlin; Grace does it by May."
)
MINUTES_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "held_on": {"type": "string"},
            "present": {"type": "array", "items": {"type": "string"}},
            "decisions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "what": {"type": "string"},
                        "who": {"type": "string"},
                        "until": {"type": "string"},
                    },
                    "required": ["what", "who"],
                },
            },
        },
        "required": ["held_on", "present", "decisions"],
    },
    indent=2,
)
MINUTES = reply(
    json.dumps(
        {
            "held_on": "3 March",
            "present": ["Ada", "Grace"],
            "decisions": [
                {"what": "Move the backups to Berlin", "who": "Grace", "until": "May"},
            ],
        }
    )
)
