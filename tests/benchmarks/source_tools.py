"""What other tools find of the truth set, measured: ``python -m tests.benchmarks.source_tools --work FOLDER``.

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
from tests.truth.score import Said, Score, score, wanted
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
    """A checker: its name as a distribution, and its command line before the files.

    ``apart`` are the categories whose files it must get one by one: a syntax error ends its whole run.
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
    quiet = [one for one in snippets if not list(wanted(one, BASELINE, TARGET))]
    pythons = find_pythons(work / "found")
    files = write_flat(snippets, work / "files")
    install(work / "environment", pythons[TARGET])
    print(f"{len(snippets)} snippets, {len(quiet)} of them with nothing to say on 3.12\n")
    print("| tool | breaks found | warnings found | silent changes found | snippets with false alarms | seconds |")
    print("|---|---|---|---|---|---|")
    if options.tool is None or "py312" in options.tool:
        shutil.rmtree(work / "product", ignore_errors=True)
        started = time.perf_counter()
        found = findings_of(snippets, BASELINE, TARGET, work / "product")
        seconds = time.perf_counter() - started
        print(row("pytest-py312", score(snippets, found, BASELINE, TARGET), quiet, seconds))
    shutil.rmtree(work / "mypy", ignore_errors=True)
    for tool in TOOLS:
        if options.tool is None or tool.name in options.tool:
            started = time.perf_counter()
            said = ask(tool, snippets, files, work)
            seconds = time.perf_counter() - started
            print(row(f"{tool.name} {version_of(tool, work)}", score(snippets, said, BASELINE, TARGET), quiet, seconds))


def row(name: str, result: Score, quiet: Sequence[Snippet], seconds: float) -> str:
    """One line of the table. False alarms are counted on the snippets with nothing to say."""
    ids = {one.id for one in quiet}
    false = sum(bool(one.false) for one in result.verdicts if one.snippet.id in ids)
    kinds = (Kind.BREAK, Kind.WARNS, Kind.SILENT)
    found = " | ".join(f"{result.found(kind)}/{result.all(kind)}" for kind in kinds)
    return f"| {name} | {found} | {false}/{len(quiet)} | {seconds:.1f} |"


def write_flat(snippets: Sequence[Snippet], folder: Path) -> dict[str, Path]:
    """Writes the snippets so that no tool mistakes one for another: a file each, a folder where there are several."""
    main = {}
    for one in snippets:
        name = one.id.replace("/", "__")
        here = folder / name if len(one.files) > 1 else folder / "single"
        main[one.id] = here / (MAIN if len(one.files) > 1 else f"{name}.py")
        for path, text in one.files.items():
            there = main[one.id] if path == MAIN else here / path
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_text(text, "utf-8")
    return main


def install(environment: Path, python: Path) -> None:
    """The tools in an environment of their own."""
    if not (environment / "bin/python").exists():
        subprocess.run([find_uv_bin(), "venv", "--quiet", "--python", python, environment], check=True)
    names = [tool.name for tool in TOOLS]
    python = environment / "bin/python"
    subprocess.run([find_uv_bin(), "pip", "install", "--quiet", "--python", python, *names], check=True)


def version_of(tool: Tool, work: Path) -> str:
    program = f"import importlib.metadata as m; print(m.version({tool.name!r}))"
    done = subprocess.run([work / "environment/bin/python", "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def ask(tool: Tool, snippets: Sequence[Snippet], files: Mapping[str, Path], work: Path) -> dict[str, list[Said]]:
    """What a tool says of each snippet. Those of several files, or that would end its run, are handed over alone."""
    together = [one for one in snippets if len(one.files) == 1 and one.category not in tool.apart]
    alone = [one for one in snippets if one not in together]
    said = defaultdict[str, list[Said]](list)
    batches = [(files[together[0].id].parent, together), *((files[one.id].parent, [one]) for one in alone)]
    for folder, batch in batches:
        names = {files[one.id].relative_to(folder).as_posix(): one for one in batch}
        for path, remark in run(tool, folder, sorted(names), work):
            snippet = names.get(path) or batch[0]
            within = MAIN if path in names else path
            said[snippet.id].append(Said(path=within, line=remark.line, text=remark.text))
    return said


def run(tool: Tool, folder: Path, names: list[str], work: Path) -> Iterator[tuple[str, Said]]:
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
            yield inside.as_posix(), Said(path="", line=int(match["line"]), text=match["text"])


if __name__ == "__main__":
    main()
