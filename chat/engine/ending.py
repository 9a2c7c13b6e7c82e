"""The word with which a provider ends a reply → what it means here. Pure.

OpenAI's words are ``stop``, ``length``, ``content_filter``, ``tool_calls``. Others have words of
their own; those that cut a reply short get OpenAI's name, because the page says so to the reader,
and those that mean a failure are told apart. Any other word ("eos", "end_turn", "STOP", one that
nobody has seen yet) is an end like ``stop`` and stays as it was sent.
"""

LENGTH = {
    "length",
    "max_tokens",  # Anthropic, Google, Cohere
    "max_output_tokens",
    "model_length",  # Mistral
    "model_context_window_exceeded",  # Anthropic, Zhipu
}
FILTER = {
    "content_filter",  # also with Google's reason behind a colon
    "sensitive",  # Zhipu, Baichuan
    "refusal",  # Anthropic
    # Google's own, which its OpenAI-compatible endpoint passes through:
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "spii",
}
FAILURE = {
    "error_finish",
    "network_error",  # Zhipu
    "insufficient_system_resource",  # DeepSeek
    "abort",  # vLLM, SGLang: the engine was paused, or stopped
    "aborted",
    "cancelled",
    "timeout",
}


def ending(reason: str) -> str:
    """The name under which a finish reason is kept."""
    word = reason.partition(":")[0].strip().lower().replace("-", "_")
    if word in LENGTH:
        return "length"
    if word in FILTER:
        return "content_filter"
    return reason


def is_failure(reason: str) -> bool:
    """Whether the reply was broken off, though the stream ended in good order."""
    return reason.lower().replace("-", "_") in FAILURE
