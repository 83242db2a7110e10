"""docs/reference matches the code: every option with its ini setting, every finding code, every link."""

import re
from pathlib import Path

import pytest

from pytest_py312 import plugin
from pytest_py312.cli.commands import COMMANDS
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.benchmark import BenchmarkCheck
from pytest_py312.gate.checks.image import ImageCheck
from pytest_py312.repository.plan.plan_file import plan_file_in

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
CELLS_WITH_SETTING = 5
"""Cells in the row of an option that has a setting in the configuration file."""
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def rows(page: Path) -> list[list[str]]:
    """Return the cells of every row of every table, without the headings."""
    lines = re.findall(r"^\| (`.*) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.split(r"(?<!\\) \| ", line) for line in lines]


class Recorder:
    """Fake of pytest's parser and option group that records options and settings."""

    def __init__(self) -> None:
        self.options: dict[str, str] = {}
        self.inis: dict[str, str] = {}

    def getgroup(self, *_: str) -> "Recorder":
        return self

    def addoption(self, name: str, *, action: str, metavar: str = "", **_: object) -> None:
        self.options[name] = metavar

    def addini(self, name: str, _: str, *, type: str, default: object) -> None:
        self.inis[name] = type


@pytest.fixture
def recorded() -> Recorder:
    recorder = Recorder()
    plugin.pytest_addoption(recorder, pytest.PytestPluginManager())  # type: ignore[arg-type]  # stands for pytest's
    return recorder


def test_the_page_of_options_has_each_with_its_setting(recorded: Recorder) -> None:
    """As in --help, and none that does not exist."""
    listed = {
        cells[0].strip("`").replace("\\|", "|"): cells[1].strip("`")
        for cells in rows(REFERENCE / "options.md")
        if cells[0].startswith("`--py312") and len(cells) == CELLS_WITH_SETTING
    }
    existing = {
        f"{name}={metavar}" if metavar else name: setting
        for name, metavar in recorded.options.items()
        if (setting := name.removeprefix("--").replace("-", "_")) in recorded.inis
    }
    assert listed == existing


def test_the_page_of_options_has_rollout_options(recorded: Recorder) -> None:
    """No configuration file may deploy anything, so they have no setting."""
    listed = {
        cells[0].strip("`").replace("\\|", "|")
        for cells in rows(REFERENCE / "options.md")
        if cells[0].startswith("`--py312") and len(cells) != CELLS_WITH_SETTING
    }
    existing = {
        f"{name}={metavar}" if metavar else name
        for name, metavar in recorded.options.items()
        if name.removeprefix("--").replace("-", "_") not in recorded.inis
    }
    assert listed == existing
    assert "--py312-deploy=ENVIRONMENT" in listed


def test_the_page_of_options_has_the_type_of_each_setting(recorded: Recorder) -> None:
    types = {"args": "list", "string": "string", "bool": "flag, bool"}
    option_rows = rows(REFERENCE / "options.md")
    listed = {
        cells[1].strip("`"): cells[2]
        for cells in option_rows
        if "--py312" in cells[0] and len(cells) == CELLS_WITH_SETTING
    }
    assert listed == {name: types[kind] for name, kind in recorded.inis.items()}


def test_the_page_of_options_has_each_command() -> None:
    listed = {cells[0].strip("`").split()[1] for cells in rows(REFERENCE / "options.md") if "`py312 " in cells[0]}
    assert listed == set(COMMANDS)


def test_the_page_of_findings_has_each_code_once() -> None:
    """Codes of the checks, and the code of waivers."""
    listed = [cells[0].strip("`") for cells in rows(REFERENCE / "findings.md")]
    assert listed == [
        *sorted(code for check in (*CHECKS, BenchmarkCheck(), ImageCheck()) for code in check.codes),
        "PY901",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_resolve(page: Path) -> None:
    """To an existing file and, if they name one, to one of its headings."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http:", "https:")):
            continue
        name, _, heading = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (heading and heading not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent != REFERENCE], ids=lambda page: page.stem)
def test_every_plan_in_the_docs_is_valid(page: Path, tmp_path: Path) -> None:
    """Each block of TOML can be copied into a plan."""
    from datetime import date

    from pytest_py312.repository.plan.loader import load_plan

    for block in re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        if "[tool.pytest]" in block:
            continue
        (tmp_path / "py312.toml").write_text(block, encoding="utf-8")
        plan_file = plan_file_in(tmp_path)
        assert plan_file is not None
        assert load_plan(plan_file, today=date(2026, 11, 25)).source == "py312.toml"


SECURITY = ROOT / "docs" / "explanation" / "security.md"
NO_CLAIM = "What is not covered."
CLAIMS = [
    pytest.param(title, text, id=title)
    for title, text in re.findall(
        r"^\*\*([^*]+)\*\*(.*?)(?=^\*\*|^## |\Z)", SECURITY.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    if title != NO_CLAIM
]


@pytest.mark.parametrize(("title", "text"), CLAIMS)
def test_each_claim_about_security_names_its_tests(title: str, text: str) -> None:
    """A name is that of a module with tests, and what follows it in ``::`` is one of them."""
    names = re.findall(r"\[(test_\w+)(?:::(\w+))?\]\(([^)]+)\)", text)
    assert names, title
    for name, test, target in names:
        module = (SECURITY.parent / target).resolve()
        assert (module.name, module.is_file()) == (f"{name}.py", True)
        tests = re.findall(r"^(?:async )?def (test_\w+)", module.read_text(encoding="utf-8"), re.MULTILINE)
        assert tests
        assert not test or test in tests, f"{module}: no {test}"
