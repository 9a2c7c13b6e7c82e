"""Each recorded body: its file, where its quirk is known from, what a reader should get."""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
TYPES = {
    ".sse": "text/event-stream",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain",
}


@dataclass(frozen=True)
class Recorded:
    """``error`` is the kind of the error that a turn ends with, "" for a complete reply."""

    file: str
    known_from: str
    text: str = ""
    reasoning: str = ""
    finish: str = "stop"
    error: str = ""
    labelled: str = ""  # the content type, where the file's ending does not say it

    @property
    def name(self) -> str:
        return self.file.rpartition(".")[0]

    @property
    def content_type(self) -> str:
        return self.labelled or TYPES[Path(self.file).suffix]

    @property
    def body(self) -> bytes:
        return (HERE / self.file).read_bytes()


def said(
    file: str, known_from: str, text: str = "Hello", reasoning: str = "", finish: str = "stop"
) -> Recorded:
    """A complete reply."""
    return Recorded(file, known_from, text, reasoning, finish)


def broken(
    file: str,
    known_from: str,
    error: str,
    text: str = "",
    reasoning: str = "",
    finish: str = "",
) -> Recorded:
    """A failure, with what came before it."""
    return Recorded(file, known_from, text, reasoning, finish, error)


FRAMING = (
    said("kimi-no-space-after-data.sse", "nullclaw 509, guidellm 1106"),
    said("glm-no-blank-lines.sse", "eventsource-parser 31: GLM-4.7 and Kimi-K2.5 behind gateways"),
    said(
        "gateway-wrapped-twice.sse", "openclaw 96497: an event stream sent as the data of another"
    ),
    said("gateway-name-apart-from-data.sse", "pi 8430"),
    said("gateway-many-keep-alives.sse", "OpenRouter, DeepSeek, llama.cpp 24013, copilot-api 88"),
    said("gateway-carriage-returns-alone.sse", "the HTML standard allows it"),
    said("gateway-crlf-ids-comments-no-done.sse", "llmgateway 2334"),
    said("gateway-byte-order-mark.sse", "the HTML standard allows it"),
    said("gateway-json-over-many-lines.sse", "term-llm 454"),
    said("gateway-text-after-done.sse", "gateways that append a stream of their own"),
    said("gateway-done-in-quotes.sse", "gateways that encode every event as JSON"),
    said("google-done-without-brackets.sse", "java-genai 1084"),
    said("ollama-done-with-a-space.sse", "mistral-vibe 793"),
    said("llamacpp-empty-comments-and-no-last-blank-line.sse", "llama.cpp 24013, apogee 139"),
    said("gateway-garbage-after-finish.sse", "new-api 5221"),
    said("gateway-broken-utf-8.sse", "llama.cpp 28926", "Gr\ufffdsse"),
    said("gateway-control-characters.sse", "local models", "a\ufffdb\x1b[31mc\u2028d"),
    said("emoji-cut-into-surrogates.sse", "gateways that count in UTF-16", "Hi 😀!"),
    said("sglang-nan-in-logprobs.sse", "Python's json writes NaN"),
    Recorded(
        "gateway-stream-labelled-json.sse",
        "openclaw 97474",
        "Hello",
        labelled="application/json",
    ),
)

CHUNKS = (
    said("azure-filter-chunks-around-the-text.sse", "openai-python 1677, langchain 18977"),
    said("openai-obfuscation-and-nulls.sse", "OpenAI's reference"),
    said("openai-refusal.sse", "OpenAI's reference", "I cannot help with that."),
    said("openai-annotations.sse", "OpenAI's reference", "It rains."),
    said("cloudflare-numbers-as-content.sse", "cloudflare/ai 651, vercel/ai 4031", "1 + 5 = 6.5"),
    said("gateway-choices-null.sse", "MiniMax; one-api"),
    said(
        "databricks-reasoning-summaries.sse",
        "Databricks' reference",
        "Hello!",
        "Greeting. Answer.",
    ),
    said("anthropic-thinking-in-parts.sse", "gateways before Anthropic", "Hi", "Hm.", "end_turn"),
    said("mistral-thinking-in-parts.sse", "vercel/ai 8072", "Bonjour 👋", "The user greets me."),
    said(
        "deepseek-reasoning-beside-null-content.sse",
        "DeepSeek's reference",
        "Hello!",
        "Greeting. Answer.",
    ),
    said("ollama-reasoning-beside-empty-content.sse", "dirac 227", "Hello", "We greet."),
    said("sglang-empty-finish-reasons.sse", "sglang 3912, ollama 4357"),
    said("openrouter-reasoning-and-details.sse", "fastllm 61", "Hello", "We greet."),
    said("openrouter-reasoning-details-alone.sse", "laravel/ai 813", "Hello", "We greet."),
    said("minimax-whole-message-after-the-deltas.sse", "GoModel 1068"),
    said("perplexity-message-beside-delta.sse", "Perplexity 209", "It rains in Bergen[1]."),
    said("minimax-think-in-content.sse", "MiniMax's reference", "Hello", "We greet."),
    said("perplexity-think-in-content.sse", "langchain 38070", "Hello", "Okay, a greeting."),
    said("qwen-empty-think.sse", "Qwen3 with thinking switched off"),
    said("exaone-tag-in-three-pieces.sse", "openhuman 6184", "Four", "Two and two"),
    said("mistral-think-in-brackets.sse", "vllm-mlx 599", "391", "Okay."),
    broken(
        "qwen-think-without-an-end.sse",
        "a limit reached while thinking",
        "empty",
        reasoning="We greet",
        finish="length",
    ),
    said(
        "deepseek-think-without-a-beginning.sse",
        "DeepSeek-R1 352, vllm 13125",
        "We greet.\n</think>\n\nHello",
    ),
    said(
        "honest-text-about-tags.sse",
        "what may not be mistaken for thinking",
        "Between <think> and </think> a model thinks.",
    ),
    said(
        "honest-text-that-begins-like-a-tag.sse",
        "what may not be mistaken for thinking",
        "<th>Name</th>",
    ),
    said(
        "dashscope-all-the-text-each-time.sse",
        "continue 4105, qwen-code 3896",
        "def add(a, b):\n    return a + b",
    ),
    said(
        "honest-text-that-repeats-itself.sse",
        "chatlas 435: what may not be mistaken for that",
        "### Hahaha\n\nRow, row",
    ),
    said("gateway-message-instead-of-delta.sse", "gateways that reuse the whole completion"),
    said("llamacpp-python-text-completion.sse", "llama-cpp-python 133"),
    said("several-choices.sse", "OpenAI's reference, n above 1"),
    said("moonshot-usage-inside-the-choice.sse", "pi 2017"),
    said("spark-code-zero-and-message.sse", "Spark's reference", "Hello!"),
    said("gateway-empty-error-beside-choices.sse", "gateways that send every field they know"),
    said("ollama-calls-share-an-index.sse", "ollama 15457", "Let me look.", finish="tool_calls"),
    said(
        "gateway-calls-in-every-shape.sse",
        "vercel/ai 7238, term-llm 314",
        "Let me look.",
        finish="tool_calls",
    ),
    broken("openai-function-call.sse", "OpenAI's older reference", "empty", finish="function_call"),
    said("whole-completion.json", "endpoints that do not stream", "Héllo"),
    said("whole-completion-after-blank-lines.json", "DeepSeek's keep-alive", "Héllo"),
    said("whole-completion-labelled-event-stream.sse", "new-api 1178", "Héllo"),
    said("whole-completion-with-think.json", "endpoints that do not stream", "Hello", "We greet."),
)

ENDS = (
    said("finish-with-the-last-text.sse", "vllm 36944"),
    said("finish-before-the-last-text.sse", "gateways that filter the text"),
    said("finish-twice.sse", "gateways that add an end of their own", finish="length"),
    said("openwebui-finish-on-every-thought.sse", "open-webui 16377", "Hello", "We greet."),
    broken(
        "openwebui-finish-on-every-thought-then-cut.sse",
        "open-webui 16377",
        "empty",
        "Hel",
        "We greet.",
    ),
    said("together-finish-eos.sse", "openai-dotnet 267", finish="eos"),
    said("google-finish-in-capitals.sse", "Vibe-Trading 308", finish="STOP"),
    said("gateway-finish-end.sse", "pi 2107", finish="end"),
    said("anthropic-finish-max-tokens.sse", "Anthropic's reference", finish="length"),
    said("mistral-finish-model-length.sse", "Mistral's reference", finish="length"),
    said("google-finish-prohibited-content.sse", "Vibe-Trading 308", finish="content_filter"),
    said("zhipu-finish-sensitive.sse", "Zhipu's reference", finish="content_filter"),
    said(
        "azure-filter-cuts-the-text.sse",
        "Azure's reference",
        "Once upon",
        finish="content_filter",
    ),
    broken(
        "azure-filter-before-any-text.sse", "Azure's reference", "empty", finish="content_filter"
    ),
    broken(
        "zhipu-finish-network-error.sse",
        "hermes-agent 92161",
        "unavailable",
        "Hello",
        finish="network_error",
    ),
    broken(
        "deepseek-finish-insufficient-system-resource.sse",
        "DeepSeek's reference",
        "unavailable",
        "Hello",
        finish="insufficient_system_resource",
    ),
    broken("vllm-finish-abort.sse", "vllm 57082", "unavailable", "Hello", finish="abort"),
    broken("google-proxy-finish-never.sse", "llmcord 84", "empty", "Hello"),
    broken("gateway-finish-never-and-no-done.sse", "pi 4558", "empty", "Hello"),
    broken("nothing-at-all.sse", "pi 2537", "empty"),
    broken("comments-and-nothing-else.sse", "coder 26005", "empty"),
)

ERRORS = (
    broken("openai-error-in-data.sse", "OpenAI's SDK", "unavailable", "One"),
    broken("vllm-error-then-done.sse", "vllm's server", "unavailable", "One, two"),
    broken(
        "openrouter-error-beside-choices.sse",
        "OpenRouter's reference",
        "unavailable",
        "The answer",
        finish="error",
    ),
    broken("openrouter-error-without-choices.sse", "OmniRoute 8210", "unavailable"),
    broken(
        "openrouter-error-in-the-choice.sse",
        "OpenRouter's reference",
        "rate_limited",
        "One",
        finish="error",
    ),
    broken("gateway-error-as-string.sse", "NeoGraph 124", "provider"),
    broken("xai-error-as-string-with-code.sse", "uni-api 105", "unavailable"),
    broken("tgi-error-with-type.sse", "huggingface_hub 2514", "refused"),
    broken("groq-error-beside-choices.sse", "Groq's SDK", "provider", "One"),
    broken("groq-error-with-status-code.sse", "liter-llm 189", "refused"),
    broken("litellm-error-with-the-word-none.sse", "litellm 15070", "unavailable", "One"),
    broken("anthropic-event-error.sse", "Anthropic's reference", "unavailable", "One"),
    broken("llamacpp-error-as-field.sse", "llama.cpp 16109, coddy-agent 106", "refused"),
    broken("llamacpp-error-in-data.sse", "llama.cpp 16109", "unavailable", "One"),
    broken("lmstudio-event-error.sse", "LM Studio 2322", "provider"),
    broken("crane-error-as-plain-words.sse", "Crane 121", "garbled", "One"),
    broken("dashscope-event-error-with-status-comment.sse", "DashScope's reference", "refused"),
    broken("google-error-in-a-list-in-data.sse", "gemini-cli 14811", "unavailable"),
    broken("google-error-in-a-list.json", "gemini-cli 14811", "rate_limited"),
    broken("minimax-error-in-base-resp-mid-stream.sse", "MiniMax's reference", "provider", "One"),
    broken("minimax-error-in-base-resp.json", "MiniMax's reference", "provider"),
    broken("gateway-error-written-into-a-chunk.sse", "sub2api 1471", "garbled", "One"),
    broken("mlserver-error-in-an-object.sse", "SGLang, LMDeploy", "refused"),
    broken("cloudflare-errors.json", "Cloudflare's reference", "provider"),
    broken("cloudflare-gateway-error-in-a-list.json", "Cloudflare's gateway", "provider"),
    broken("zhipu-error-without-a-name.json", "Zhipu's gateway", "unavailable"),
    broken("fastapi-detail.json", "servers made with FastAPI", "provider"),
    broken("newapi-error-labelled-event-stream.sse", "new-api 1178", "unavailable"),
    broken("sign-in-page.html", "a proxy that wants a session", "garbled"),
    broken(
        "html-labelled-event-stream.sse", "a proxy's page with the upstream's headers", "garbled"
    ),
    broken("envoy-plain-text.txt", "Envoy", "garbled"),
)

RECORDED = (*FRAMING, *CHUNKS, *ENDS, *ERRORS)
