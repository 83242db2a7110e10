"""Real texts that are mutated: files of the examples and of ``../shared/data``, documents of stored journals."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.fuzz.subjects import JOURNALS, Subject

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "examples", ROOT / "tests" / "data", ROOT.parent / "shared" / "data")
MAX_SIZE = 20_000
"""Characters of a sample."""
PER_KIND = 40

BUILT_IN: Mapping[str, str] = {
    path.stem: path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "data").glob("*.txt"))
}
"""One sample of each kind with much of what it can say."""


def kind_of(path: str) -> str:
    """Return the key of :data:`BUILT_IN` for a file of this name."""
    name = path.rpartition("/")[2].lower()
    if name.endswith((".lock.json", ".json")) or name == "pipfile.lock":
        return "yaml" if "devcontainer" in name else "json"
    by_ending = {
        (".toml", ".lock", "pipfile"): "toml", (".yml", ".yaml"): "yaml", (".cfg", ".ini", "pip.conf"): "ini",
        (".py",): "python", (".sh", "jenkinsfile"): "shell", ("makefile",): "make", (".in",): "requirements",
    }  # fmt: skip
    if "dockerfile" in name:
        return "docker"
    if re.match(r"requirements.*\.txt", name):
        return "requirements"
    return next((kind for endings, kind in by_ending.items() if name.endswith(endings)), "text")


@cache
def _files() -> Mapping[str, Sequence[str]]:
    """Map each kind to the texts of real files."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder in FOLDERS:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            kind = kind_of(path.as_posix())
            if kind == "text" or len(found[kind]) >= PER_KIND or not path.is_file() or path.stat().st_size > MAX_SIZE:
                continue
            found[kind].append(path.read_text(encoding="utf-8", errors="replace"))
    return found


@cache
def _documents(table: str) -> Sequence[str]:
    """Return documents of one table of the stored journals."""
    found = []
    for dump in sorted(JOURNALS.glob("*.sql")):
        for line in dump.read_text(encoding="utf-8").splitlines():
            document = re.search(rf"INSERT INTO \"?{table}\"? .*?'([\[{{].*[\]}}])'\)", line)
            if document:
                found.append(document[1].replace("''", "'"))
    return found[:PER_KIND] or [json.dumps({"document": table})]


def samples_of(subject: Subject) -> Sequence[str]:
    """Return the texts from which inputs of ``subject`` are made."""
    if subject.path.endswith(".document"):
        return _documents(subject.path.partition(".")[0])
    kind = kind_of(subject.path)
    return (BUILT_IN[kind], *_files().get(kind, ()))


def words_of(samples: Sequence[str]) -> Iterator[str]:
    """Yield words of the samples, which are put in other places."""
    for sample in samples:
        yield from re.findall(r"[^\s\"'\[\]{}(),=:]+", sample)[:200]
