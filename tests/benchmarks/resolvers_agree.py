"""Judges files of a platform with uv and with pip-tools, and prints how the verdicts differ.

    python tests/benchmarks/resolvers_agree.py [--python 3.12] [FILE ...]

FILE is relative to the services of the platform; default: nine files on which pip-compile is not too slow. Exits with 1
if docs/reference/plan.md does not explain a difference.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.integration.test_resolvers_agree import (
    ONLY_BUILDS_DIFFER,
    PLATFORM,
    Answer,
    ResolverPair,
    blamed,
    difference,
    platform_request,
)

FILES = (
    "agent-services/laoke-service/test/platform/requirements.txt",
    "suoke-bench-service/requirements-dev.txt",
    "med-knowledge/requirements.txt",
    "medical-service/requirements.txt",
    "message-bus/requirements.txt",
    "auth-service/requirements.txt",
    "user-service/requirements.txt",
    "api-gateway/requirements.txt",
    "diagnostic-services/palpation-service/requirements.txt",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=FILES)
    parser.add_argument("--python", default="3.12")
    arguments = parser.parse_args()
    if not PLATFORM.is_dir():
        parser.error(f"there is no {PLATFORM}")
    unexplained = 0
    with tempfile.TemporaryDirectory() as folder:
        resolvers = ResolverPair(Path(folder))
        for interpreter in arguments.python.split(","):
            for file in arguments.files:
                timed = [timed_answer(resolvers, resolver, interpreter, file) for resolver in ("uv", "pip-tools")]
                difference_text = difference(timed[0][0], timed[1][0])
                unexplained += difference_text not in ("", ONLY_BUILDS_DIFFER)
                took = ", ".join(f"{seconds:.1f} s" for _, seconds in timed)
                print(
                    f"{file} on {interpreter} ({took}): {describe(timed[0][0])}; {difference_text or 'the same'}",
                    flush=True,
                )
        resolvers.runner.close()
    return int(unexplained > 0)


def timed_answer(resolvers: ResolverPair, resolver: str, interpreter: str, file: str) -> tuple[Answer, float]:
    started = time.perf_counter()
    return resolvers.lock(resolver, interpreter, platform_request(file)), time.perf_counter() - started


def describe(answer: Answer) -> str:
    return f"blocked by {', '.join(sorted(blamed(answer)))}" if isinstance(answer, tuple) else "resolves"


if __name__ == "__main__":
    sys.exit(main())
