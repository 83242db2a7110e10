"""Words that reviews send back, and names that say nothing, in code, messages and docs.

    python -m tests.language [PATH ...]

lists them; ``tests/test_language.py`` allows none. ``docs/contributing.md`` says why, and what to write instead.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

RIDDLES: dict[str, str] = {
    r"anew": "again, from scratch",
    r"mend(s|ed|ing)?": "fix",
    r"(un|re)?told": "reported, described",
    r"foretold": "announced, deprecated",
    r"said": "reported, described, message",
    r"laid": "applied, added",
    r"parted": "split",
    r"way (back|up)": "rollback, deployment",
    r"strangers?": "someone else, foreign",
    r"standing": "status",
    r"grounds?": "context, reason",
    r"shut out": "exclude",
    r"whoever": "the caller, anyone who",
    r"for want of": "because there is no",
    r"befalls?": "happens to",
    r"old ones?": "previous version",
    r"put behind": "guarded",
    r"dies": "fails, crashes",
    r"clash(es|ed)?": "conflict",
    r"nobody judges": "it is not checked",
    r"twin(s|ned|ning)?": "control",
    r"peel(s|ed|ing)?": "conflict search",
    r"tally|tallies": "time series, count",
    r"testimon(y|ies)|witness(es)?": "evidence, answer",
    r"scribes?": "collector",
}
"""Pattern of a word or phrase -> what to write instead."""

VAGUE_NAMES = frozenset({"found", "one", "told", "there", "said", "known", "here", "before"})
"""No names for a value that lives longer than :data:`MOST_LINES`."""
MOST_LINES = 3

STORED = {
    "cli/monitor_commands.py": ("untold",),
    "cli/rollout_commands.py": ("twin",),
    "repository/plan/rollout_settings.py": ("twin",),
    "rollout/domain/events.py": ("twin",),
    "rollout/domain/model.py": ("twin", "stranger"),
    "rollout/monitoring/breaches.py": ("twin",),
    "rollout/monitoring/traffic.py": ("twin",),
    "rollout/reporting/evidence.py": ("twin",),
    "rollout/targets/docker/container_config.py": ("twin",),
}
"""Module of the package -> words in names that journals, JSON documents and containers of version 0.1.0 have."""

_RIDDLE = re.compile(rf"(?<![A-Za-z])({'|'.join(RIDDLES)})(?![A-Za-z])", re.IGNORECASE)
"""An underscore parts words as a space does, and an inner capital is caught by :func:`_split_capitals`."""


@dataclass(frozen=True, kw_only=True)
class Remark:
    """A word or a name that has to go, and its place."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return (
            f"{self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path}:{self.line}: {self.text}"
        )


def _split_capitals(text: str) -> str:
    """Put a space between the words of ``CamelCase``, keeping line breaks."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)


def riddles_in(path: Path, text: str) -> Iterator[Remark]:
    """Yield the words of a text that reviews send back."""
    stored = next((words for name, words in STORED.items() if path.match(f"pytest_py312/{name}")), ())
    for number, line in enumerate(text.splitlines(), 1):
        for match in _RIDDLE.finditer(_split_capitals(line)):
            if match[0].lower() in stored:
                continue
            instead = next(word for pattern, word in RIDDLES.items() if re.fullmatch(pattern, match[0].lower()))
            yield Remark(path=path, line=number, text=f"{match[0]!r}: {instead}")


def vague_names_in(path: Path, text: str) -> Iterator[Remark]:
    """Yield parameters and local variables with a name that says nothing and a life of more than a few lines."""
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        lines: dict[str, list[int]] = {}
        for node in ast.walk(function):
            name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
            if name in VAGUE_NAMES and isinstance(node, ast.Name | ast.arg):
                lines.setdefault(name, []).append(node.lineno)
        for name, numbers in lines.items():
            if max(numbers) - min(numbers) > MOST_LINES:
                yield Remark(path=path, line=min(numbers), text=f"{name!r} is no name for a value in {function.name}")


def remarks(paths: Iterable[Path]) -> Iterator[Remark]:
    """Yield all remarks on files, of folders on those below them."""
    for path in paths:
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.suffix not in (".py", ".md", ".toml", ".j2", ".js", ".css", ".ini", ".sh", ""):
                continue
            text = file.read_text(encoding="utf-8")
            yield from riddles_in(file, text)
            if file.suffix == ".py":
                yield from vague_names_in(file, text)


def main(arguments: list[str]) -> int:
    """Print the remarks on the files and folders that are named; on the package if none is."""
    count = 0
    for remark in remarks([Path(argument).resolve() for argument in arguments] or [ROOT / "pytest_py312"]):
        print(remark)
        count += 1
    print(f"{count} remarks")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
