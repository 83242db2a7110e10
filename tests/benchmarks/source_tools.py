"""Scores of other tools on the truth set: ``python -m tests.benchmarks.source_tools --work FOLDER``.

Installs ruff, pylint, mypy, ty and vermin into an environment of 3.12 under the work folder, lets each read the whole
set for a move from 3.9 to 3.12, scores them as the product is scored (the right line is required; as these tools know
no weights, any remark there counts), and prints a table in Markdown, the product's row first. Their rules are those
about versions, so that a missing docstring is no false alarm. All caches are empty at the start.
"""

import argparse
import re
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from tests.truth.cases import MAIN, Kind, Snippet, read_snippets
from tests.truth.product import findings_of
from tests.truth.score import Remark, Score, expected_marks, score
from tests.truth.verify import find_pythons

BASELINE, TARGET = (3, 9), (3, 12)
RUFF_RULES = "W605,DTZ003,DTZ004,UP005,UP035,S401,F632,F631,RUF009,UP015,G010,S202"
PYLINT_RULES = (
    "E,deprecated-module,deprecated-method,deprecated-argument,deprecated-class,deprecated-decorator,"
    "deprecated-attribute,anomalous-backslash-in-string,literal-comparison,assert-on-tuple,bad-open-mode"
)
REMARK = re.compile(r"(?P<path>[^\s:]+\.py):(?P<line>\d+)(?::\d+)?:? ?(?P<text>.*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A checker: its distribution's name, and its command line before the files.

    ``apart`` are the categories whose files must be checked one by one: a syntax error ends the tool's whole run.
    """

    name: str
    arguments: tuple[str, ...]
    apart: frozenset[str] = frozenset()


TOOLS = (
    Tool(
        name="ruff",
        arguments=("check", "--isolated", "--no-cache", "--preview", f"--select={RUFF_RULES}",
                   "--target-version=py312", "--output-format=concise"),
    ),
    Tool(
        name="pylint",
        arguments=("--rcfile=/dev/null", "--disable=all", f"--enable={PYLINT_RULES}", "--py-version=3.12",
                   "--score=n", "--msg-template={path}:{line}: {msg_id} {msg}"),
    ),
    Tool(
        name="mypy",
        arguments=("--config-file=", "--python-version=3.12", "--check-untyped-defs", "--enable-error-code=deprecated",
                   "--explicit-package-bases", "--hide-error-context", "--no-error-summary", "--cache-dir={work}/mypy"),
        apart=frozenset({"syntax", "needs"}),
    ),
    Tool(name="ty", arguments=("check", "--python-version=3.12", "--output-format=concise")),
    Tool(name="vermin", arguments=("-t=3.12-", "--violations", "--format=parsable")),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="What other tools find of the truth set.")
    parser.add_argument("--work", type=Path, required=True, help="folder for the environment and the files")
    parser.add_argument("--tool", action="append", help="only this one (py312 is the product); may be repeated")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    snippets = read_snippets()
    quiet = [snippet for snippet in snippets if not list(expected_marks(snippet, BASELINE, TARGET))]
    pythons = find_pythons(work / "found")
    files = write_flat(snippets, work / "files")
    install(work / "environment", pythons[TARGET])
    print(f"{len(snippets)} snippets, {len(quiet)} of them with nothing to say on 3.12\n")
    print("| tool | breaks found | warnings found | silent changes found | snippets with false alarms | seconds |")
    print("|---|---|---|---|---|---|")
    if options.tool is None or "py312" in options.tool:
        shutil.rmtree(work / "product", ignore_errors=True)
        started = time.perf_counter()
        remarks = findings_of(snippets, BASELINE, TARGET, work / "product")
        seconds = time.perf_counter() - started
        print(row("pytest-py312", score(snippets, remarks, BASELINE, TARGET), quiet, seconds))
    shutil.rmtree(work / "mypy", ignore_errors=True)
    for tool in TOOLS:
        if options.tool is None or tool.name in options.tool:
            started = time.perf_counter()
            remarks = ask(tool, snippets, files, work)
            seconds = time.perf_counter() - started
            print(
                row(f"{tool.name} {version_of(tool, work)}", score(snippets, remarks, BASELINE, TARGET), quiet, seconds)
            )


def row(name: str, result: Score, quiet: Sequence[Snippet], seconds: float) -> str:
    """Format one line of the table. False alarms are counted on the snippets without expected findings."""
    ids = {item.id for item in quiet}
    false = sum(bool(item.false) for item in result.verdicts if item.snippet.id in ids)
    kinds = (Kind.BREAK, Kind.WARNS, Kind.SILENT)
    counts = " | ".join(f"{result.found(kind)}/{result.all(kind)}" for kind in kinds)
    return f"| {name} | {counts} | {false}/{len(quiet)} | {seconds:.1f} |"


def write_flat(snippets: Sequence[Snippet], folder: Path) -> dict[str, Path]:
    """Write each snippet to its own file, or to a folder if it has several; return the main files by snippet id."""
    main = {}
    for snippet in snippets:
        name = snippet.id.replace("/", "__")
        snippet_folder = folder / name if len(snippet.files) > 1 else folder / "single"
        main[snippet.id] = snippet_folder / (MAIN if len(snippet.files) > 1 else f"{name}.py")
        for path, text in snippet.files.items():
            file = main[snippet.id] if path == MAIN else snippet_folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    return main


def install(environment: Path, python: Path) -> None:
    """Install the tools into their own environment."""
    if not (environment / "bin/python").exists():
        subprocess.run([find_uv_bin(), "venv", "--quiet", "--python", python, environment], check=True)
    names = [tool.name for tool in TOOLS]
    python = environment / "bin/python"
    subprocess.run([find_uv_bin(), "pip", "install", "--quiet", "--python", python, *names], check=True)


def version_of(tool: Tool, work: Path) -> str:
    program = f"import importlib.metadata as m; print(m.version({tool.name!r}))"
    done = subprocess.run([work / "environment/bin/python", "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def ask(tool: Tool, snippets: Sequence[Snippet], files: Mapping[str, Path], work: Path) -> dict[str, list[Remark]]:
    """Return a tool's remarks on each snippet. Those of several files, or that would end its run, are checked alone."""
    together = [snippet for snippet in snippets if len(snippet.files) == 1 and snippet.category not in tool.apart]
    alone = [snippet for snippet in snippets if snippet not in together]
    remarks = defaultdict[str, list[Remark]](list)
    batches = [(files[together[0].id].parent, together), *((files[snippet.id].parent, [snippet]) for snippet in alone)]
    for folder, batch in batches:
        names = {files[snippet.id].relative_to(folder).as_posix(): snippet for snippet in batch}
        for path, remark in run(tool, folder, sorted(names), work):
            snippet = names.get(path) or batch[0]
            within = MAIN if path in names else path
            remarks[snippet.id].append(Remark(path=within, line=remark.line, text=remark.text))
    return remarks


def run(tool: Tool, folder: Path, names: list[str], work: Path) -> Iterator[tuple[str, Remark]]:
    arguments = [argument.replace("{work}", str(work)) for argument in tool.arguments]
    done = subprocess.run(
        [work / "environment/bin" / tool.name, *arguments, *names],
        cwd=folder, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        match = REMARK.match(line.strip())
        if match and ": note:" not in line:
            path = Path(match["path"])
            inside = path.relative_to(folder) if path.is_absolute() and path.is_relative_to(folder) else path
            yield inside.as_posix(), Remark(path="", line=int(match["line"]), text=match["text"])


if __name__ == "__main__":
    main()
