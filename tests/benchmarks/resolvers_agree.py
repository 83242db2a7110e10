"""Judges files of a platform with uv and with pip-tools, and prints in what the verdicts differ.

    python tests/benchmarks/engines_agree.py [--python 3.12] [FILE ...]

FILE is relative to the services of the platform; without any, nine that pip-compile can be waited for. Ends with 1
where a difference is none that docs/reference/plan.md explains.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.integration.test_engines import BUILT, PLATFORM, Answer, Judging, blamed, difference, of_platform

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
        judging = Judging(Path(folder))
        for interpreter in arguments.python.split(","):
            for file in arguments.files:
                timed = [answered(judging, resolver, interpreter, file) for resolver in ("uv", "pip-tools")]
                found = difference(timed[0][0], timed[1][0])
                unexplained += found not in ("", BUILT)
                took = ", ".join(f"{seconds:.1f} s" for _, seconds in timed)
                print(f"{file} on {interpreter} ({took}): {said(timed[0][0])}; {found or 'the same'}", flush=True)
        judging.runner.close()
    return int(unexplained > 0)


def answered(judging: Judging, resolver: str, interpreter: str, file: str) -> tuple[Answer, float]:
    started = time.perf_counter()
    return judging.ask(resolver, interpreter, of_platform(file)), time.perf_counter() - started


def said(answer: Answer) -> str:
    return f"blocked by {', '.join(sorted(blamed(answer)))}" if isinstance(answer, tuple) else "resolves"


if __name__ == "__main__":
    sys.exit(main())
