"""Feed mutated files to everything that reads, edits or decodes, and report what crashes, hangs or needs much memory.

    python -m tests.fuzz --minutes 2
    python -m tests.fuzz --seed 7 --input 1234      # repeat one input

Each input follows from the seed and its number. A failing one is shortened and printed; the exit code is then 1.
"""

import argparse
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.fuzz.mutations import mutate
from tests.fuzz.samples import samples_of, words_of
from tests.fuzz.subjects import Subject, all_subjects

PACKAGE = str(Path(__file__).parents[2] / "pytest_py312")
MEMORY_LIMIT = 512 * 1024
"""KiB by which one input may raise the memory of the process."""
ADDRESS_SPACE = 4 * 1024**3
SHRINK_SECONDS = 60.0


class TooSlow(BaseException):
    """An input took longer than the limit. No handler of exceptions may catch it."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What went wrong with an input; ``key`` is the same for the same cause."""

    key: str
    details: str


def _on_alarm(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def _place(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(PACKAGE)]
    return f"{frames[-1].filename.removeprefix(PACKAGE)}:{frames[-1].lineno}" if frames else "outside of the package"


def fault_of(subject: Subject, text: str, limit: float) -> Fault | None:
    """Exercise ``subject`` with ``text``; return what is wrong with that, if anything is."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        subject.exercise(text)
    except TooSlow as error:
        return Fault(key="too slow", details=f"more than {limit:g} s of processor time, at {_place(error)}")
    except Exception as error:
        details = "".join(traceback.format_exception(error)[-12:])
        return Fault(key=f"{type(error).__name__} at {_place(error)}", details=details)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if grown > MEMORY_LIMIT:
        return Fault(key="too much memory", details=f"{grown // 1024} MiB")
    return None


def shrink(subject: Subject, text: str, fault: Fault, limit: float) -> str:
    """Return a shorter text with the same fault: without as many lines, then characters, as possible."""
    end = time.monotonic() + SHRINK_SECONDS
    for split in (lambda value: value.splitlines(keepends=True), list):
        parts: list[str] = split(text)
        size = max(1, len(parts) // 2)
        while size and time.monotonic() < end:
            start = 0
            while start < len(parts) and time.monotonic() < end:
                shorter = parts[:start] + parts[start + size :]
                found = fault_of(subject, "".join(shorter), limit)
                if found is not None and found.key == fault.key:
                    parts = shorter
                else:
                    start += size
            size //= 2
        text = "".join(parts)
    return text


def inputs(seed: int, subjects: Sequence[Subject]) -> Iterator[tuple[int, Subject, str]]:
    """Yield the number, the subject and the text of each input, endlessly."""
    number = 0
    while True:
        yield number, *input_of(seed, number, subjects)
        number += 1


def input_of(seed: int, number: int, subjects: Sequence[Subject]) -> tuple[Subject, str]:
    """Return the subject and the text of one input."""
    rng = random.Random(f"{seed} {number}")
    subject = subjects[number % len(subjects)]
    samples = samples_of(subject)
    return subject, mutate(rng, samples, sorted(set(words_of(samples)))[:500])


def report(seed: int, number: int, subject: Subject, text: str, fault: Fault, limit: float) -> None:
    short = shrink(subject, text, fault, limit)
    print(f"\n{subject.name}: {fault.key}\n{fault.details}")
    print(f"input, shortened from {len(text)} to {len(short)} characters:\n{short[:2000]!r}")
    print(f"repeat it: python -m tests.fuzz --seed {seed} --input {number}\n", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--input", type=int, default=None, metavar="NUMBER", help="only this input of the seed")
    parser.add_argument("--only", default="", metavar="TEXT", help="only subjects whose name contains it")
    parser.add_argument("--limit", type=float, default=2.0, metavar="SECONDS", help="processor time of one input")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**9)
    signal.signal(signal.SIGPROF, _on_alarm)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, resource.getrlimit(resource.RLIMIT_AS)[1]))
    every = list(all_subjects())
    print(f"seed {seed}, {len(every)} subjects", flush=True)
    end = time.monotonic() + options.minutes * 60
    faults: set[tuple[str, str]] = set()
    count = 0
    chosen = inputs(seed, every) if options.input is None else [(options.input, *input_of(seed, options.input, every))]
    for number, subject, text in chosen:
        if time.monotonic() > end and options.input is None:
            break
        if options.only not in subject.name:
            continue
        count += 1
        fault = fault_of(subject, text, options.limit)
        if fault is not None and (fault.key, subject.name) not in faults:
            faults.add((fault.key, subject.name))
            report(seed, number, subject, text, fault, options.limit)
    print(f"seed {seed}: {count} inputs, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
