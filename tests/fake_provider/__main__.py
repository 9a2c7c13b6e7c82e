"""`python -m tests.fake_provider --port P --tokens N --rate R`: the benchmark's provider."""

import argparse
import asyncio
import contextlib
import gc

from .script import Bench, Chunk, Done, Finish, Script, Usage
from .server import FakeProvider


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fake_provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one, printed")
    parser.add_argument("--tokens", type=int, default=Bench.tokens)
    parser.add_argument(
        "--rate", type=float, default=Bench.rate, help="tokens a second; 0: no wait"
    )
    parser.add_argument("--paragraph", type=int, default=Bench.paragraph, help="tokens in each")
    given = parser.parse_args()
    script = Script(
        Chunk({"role": "assistant", "content": ""}),
        Bench(given.tokens, given.rate, given.paragraph),
        Finish(),
        Usage(completion_tokens=given.tokens),
        Done(),
    )
    provider = FakeProvider(script, port=given.port)

    def ready() -> None:
        # The collector's pauses would be taken for the latency of the server under test.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 50)
        print(f"listening on {provider.base_url}", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(provider.serve(ready))


if __name__ == "__main__":
    main()
