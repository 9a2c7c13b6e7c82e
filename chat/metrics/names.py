"""Every metric's name, with its unit in it, what it says, and its labels.

No label holds a user's name or a word of a text. ``model`` is a model's name as it was asked for,
of the first fifty that this installation has seen; the rest are "other".
"""

from typing import NamedTuple


class Metric(NamedTuple):
    name: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()  # of a histogram; in the metric's unit


# Counters of what has ended, from the ledger. The format adds "_total" to their names.
REPLIES = Metric("parley_replies", "Replies that ended.", ("model", "transport", "state"))
TITLES = Metric("parley_titles", "Titles that ended.", ("model", "state"))
MODERATIONS = Metric(
    "parley_moderations",
    "Texts that a remote moderation backend was asked about.",
    ("model", "state"),
)
ENDED_EARLY = Metric(
    "parley_replies_ended_early",
    "Replies that were stopped or given up, by reason.",
    ("model", "reason"),
)
ERRORS = Metric("parley_reply_errors", "Replies with an error, by kind.", ("model", "kind"))
CALLS = Metric("parley_provider_calls", "Requests to the provider.", ("model", "purpose"))
TOKENS_IN = Metric("parley_prompt_tokens", "Tokens sent to models.", ("model", "purpose"))
TOKENS_OUT = Metric("parley_completion_tokens", "Tokens from models.", ("model", "purpose"))
COST = Metric(
    "parley_cost",
    "Cost in the currency of the label, of models with a price.",
    ("model", "purpose", "currency"),
)

# Histograms of replies, from the ledger.
TTFT_BOUNDS_S = (0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 30, 60)
TTFT_PROVIDER = Metric(
    "parley_ttft_provider_seconds",
    "Time to first token: from the request to the provider's first piece.",
    ("model", "transport"),
    TTFT_BOUNDS_S,
)
TTFT_SERVED = Metric(
    "parley_ttft_served_seconds",
    "Time to first token: from the message being accepted to the first piece on its way out.",
    ("model", "transport"),
    TTFT_BOUNDS_S,
)
TTFT_PERCEIVED = Metric(
    "parley_ttft_perceived_seconds",
    "Time to first token: from the click to the first text on screen, as browsers measured it.",
    ("model", "transport"),
    TTFT_BOUNDS_S,
)
INTER_TOKEN = Metric(
    "parley_inter_token_p95_seconds",
    "The 95th percentile of the time between tokens, of each reply.",
    ("model", "transport"),
    (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5),
)
SPEED = Metric(
    "parley_reply_tokens_per_second",
    "Completion tokens in a second of writing, of each reply.",
    ("model", "transport"),
    (1, 2, 5, 10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000),
)

# Gauges of the whole installation.
GENERATIONS = Metric(
    "parley_generations", "Generations that wait or are being written.", ("purpose", "state")
)
GENERATIONS_OLDEST = Metric(
    "parley_generations_oldest_seconds", "Age of the oldest of them.", ("purpose", "state")
)
UNRECONCILED = Metric("parley_unreconciled_replies", "Replies that ended and have no receipt.")
UNRECONCILED_OLDEST = Metric(
    "parley_unreconciled_oldest_seconds", "How long ago the oldest of them ended; 0 without one."
)
PENDING = Metric("parley_verdicts_pending", "Verdicts that are still to be had.")
PENDING_OLDEST = Metric(
    "parley_verdicts_pending_oldest_seconds", "Age of the oldest pending verdict; 0 without one."
)
VERDICTS = Metric(
    "parley_verdicts", "Verdicts on record, by state and backend.", ("state", "backend")
)
REVIEW = Metric("parley_review_items", "Messages that wait for a reviewer, by state.", ("state",))
REVIEW_OLDEST = Metric(
    "parley_review_oldest_seconds", "Age of the oldest of them; 0 without one.", ("state",)
)

# Gauges of the process that answered.
DATABASE = Metric("parley_database_up", "1 when this process has reached the database just now.")
LOG = Metric("parley_log_up", "1 when this process can read the log of running replies.")
PAGES = Metric("parley_open_pages", "Pages that this process serves.")
WORKING = Metric("parley_worker_replies", "Replies that the worker in this process writes.")
INFO = Metric("parley_build", "The version of Parley.", ("version",))
