"""How the time of everything that reads a repository grows with its input, for texts that are built to be slow.

    python -m tests.benchmarks.input_growth [--only TEXT] [--size 1000000] [--limit 2]

``tests/fuzz/data/growth.json`` has one text a row: its kind, its name, the part that is repeated (``{i}`` is its
number, ``{j}`` the next one and ``{p}`` the one before), and what stands before and after it. Each is read as each file
of its kind, by the subjects of ``tests/fuzz``.
Printed is what takes longer than the limit, with the time of half of the text: half is right, a quarter is not.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.samples import kind_of
from tests.fuzz.subjects import Subject, all_subjects

ROWS = Path(__file__).parents[1] / "fuzz" / "data" / "growth.json"
ABORT_AFTER = 6.0
"""Times the limit: a smaller text that takes as long is not doubled."""
NESTED = (("(", ")"), ("[", "]"), ("{a: ", "}"), ("$(", ")"), ("${A:-", "}"), ('"$(', ')"'), ("if x; then\n", "fi\n"))


def repeat(unit: str, head: str, tail: str, size: int) -> str:
    """Return ``unit`` again and again between ``head`` and ``tail``, ``size`` characters in all."""
    parts, length, number = [head], len(head) + len(tail), 0
    while length < size:
        part = unit.replace("{i}", str(number)).replace("{j}", str(number + 1)).replace("{p}", str(max(0, number - 1)))
        parts.append(part)
        length += max(1, len(part))
        number += 1
    return "".join((*parts, tail))


def texts(kind: str, size: int) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each row for files of a kind."""
    for row_kind, name, unit, head, tail in json.loads(ROWS.read_text(encoding="utf-8")):
        if row_kind in (kind, "*"):
            yield name, repeat(unit, head, tail, size)
    for opening, closing in NESTED:
        depth = size // (len(opening) + len(closing))
        yield f"nested {opening}", f"x = {opening * depth}1{closing * depth}\n"


def seconds_of(subject: Subject, text: str) -> float:
    started = time.process_time()
    subject.exercise(text)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="only subjects whose name contains it")
    parser.add_argument("--size", type=int, default=1_000_000, metavar="CHARACTERS")
    parser.add_argument("--limit", type=float, default=2.0, metavar="SECONDS")
    options = parser.parse_args()
    slow = count = 0
    for subject in all_subjects():
        is_file = subject.name.startswith("repository") or subject.name in ("plan", "source")
        if options.only not in subject.name or not is_file:
            continue
        kind = "plan" if subject.name == "plan" else kind_of(subject.path)
        for name, text in texts(kind, options.size):
            half = seconds_of(subject, text[: len(text) // 2])
            whole = seconds_of(subject, text) if half < ABORT_AFTER * options.limit else half
            count += 1
            if whole > options.limit:
                slow += 1
                print(f"{subject.name}: {name!r} takes {whole:.2f} s, half of it {half:.2f} s", flush=True)
    print(f"{slow} of {count} texts take more than {options.limit:g} s")


if __name__ == "__main__":
    main()
