"""Records run.svg: a real run of stage 2 of the example, as a picture of a terminal.

    python docs/images/record.py [OPTION OF PYTEST ...]

Options are added to the command, such as ``--py312-cache-dir=DIR``, and are not shown. It takes a minute with an empty
cache. POSIX only, as it opens a terminal of its own.
"""

import os
import pty
import re
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

FOLDER = Path(__file__).parent
EXAMPLE = FOLDER.parents[1] / "examples" / "suoke"
WIDTH = 100
COMMAND = ("--py312-stage=2", "--py312-runner=local", "--tb=no")
LEFT_OUT = (
    (r"^={9,} test session starts", r"^py312: target"),
    (r"^rootdir: ", r"^services/"),
    (r"^    PY203 .*assertRegexpMatches", r"^not proven: "),
    (r"^={9,} short test summary", r"^={9,} .* in [0-9.]+s"),
)
"""Pairs of patterns: from a line that matches the first, up to the next that matches the second, nothing is shown."""


def main(options: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(EXAMPLE, Path(folder) / "suoke", ignore=shutil.ignore_patterns(".py312", "__pycache__"))
        output = run_in_terminal([sys.executable, "-m", "pytest", *COMMAND, *options], copy)
    picture = draw(shorten(output.splitlines()))
    (FOLDER / "run.svg").write_text(picture, encoding="utf-8")


def run_in_terminal(argv: list[str], folder: Path) -> str:
    """Return what a program prints on a terminal."""
    parts: list[bytes] = []

    def read(descriptor: int) -> bytes:
        parts.append(os.read(descriptor, 65536))
        return parts[-1]  # is shown as well; nothing would mean that the program has ended

    os.environ.update(COLUMNS=str(WIDTH), TERM="xterm-256color", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    os.environ["PYTEST_PLUGINS"] = "pytest_py312.plugin"
    os.chdir(folder)
    pty.spawn(argv, read)
    return b"".join(parts).decode("utf-8").replace("\r\n", "\n")


def shorten(lines: list[str]) -> list[str]:
    """Leave out the parts in :data:`LEFT_OUT`; of more than one line a mark remains."""
    plain = [Text.from_ansi(line).plain for line in lines]
    kept: list[str] = []
    end = ""
    for number, line in enumerate(lines):
        if end and not re.search(end, plain[number]):
            continue
        start_of_part = next((until for start, until in LEFT_OUT if re.search(start, plain[number])), "")
        if not end and start_of_part and kept:
            kept.append("\x1b[2m[...]\x1b[0m")
        end = start_of_part
        if not end:
            kept.append(line)
    return kept


def draw(lines: list[str]) -> str:
    """Return lines with colours as an SVG that loads nothing."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.from_ansi("\x1b[1m$ pytest " + " ".join(COMMAND) + "\x1b[0m\n"))
        for line in lines:
            console.print(Text.from_ansi(line.rpartition("\r")[2]), overflow="ignore", no_wrap=True, crop=True)
        picture = console.export_svg(title="pytest-py312", theme=DIMMED_MONOKAI, unique_id="run")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL).replace("Fira Code", "ui-monospace")


if __name__ == "__main__":
    main(sys.argv[1:])
