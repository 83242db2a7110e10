"""Code, messages and docs use plain technical English: see ``docs/contributing.md``."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests import language
from tests.language import RIDDLES, ROOT, remarks, riddles_in, vague_names_in

WHERE = {
    "package": ["pytest_py312"],
    "docs": ["README.md", "docs"],
    "examples": ["examples/suoke/README.md", "examples/suoke/TROUBLE.md", "examples/suoke/serve.py"],
    "tests": [
        "conftest.py", "tests/conftest.py", "tests/architecture.py", "tests/test_architecture.py", "tests/support",
        "tests/unit", "tests/plugin", "tests/integration", "tests/benchmarks", "tests/corpus", "tests/documentation",
    ],
}  # fmt: skip
GUIDE = ROOT / "docs" / "contributing.md"
"""Has the table of the words themselves."""


def listed(names: Iterable[str]) -> list[str]:
    paths = [ROOT / name for name in names]
    return [str(remark) for remark in remarks(paths) if remark.path != GUIDE]


@pytest.mark.parametrize("names", WHERE.values(), ids=WHERE.keys())
def test_no_word_has_to_be_guessed(names: list[str]) -> None:
    assert listed(names) == []


def test_the_guide_lists_every_word() -> None:
    table = GUIDE.read_text(encoding="utf-8")
    found_patterns = {
        next(pattern for pattern in RIDDLES if remark.text.endswith(f": {RIDDLES[pattern]}"))
        for remark in riddles_in(GUIDE, table)
    }
    assert found_patterns == set(RIDDLES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def mend(it): ...", ["mend"]),
        ("class NothingTold: ...", ["Told"]),
        ("# the way back is for whoever asks", ["way back", "whoever"]),
        ("WAY_BACK = GROUND", ["GROUND"]),
        ("recommended, background, golden, outstanding, parts, laidback", []),
    ],
)
def test_words_are_found_in_names_and_prose(text: str, words: list[str]) -> None:
    assert [remark.text.split("'")[1] for remark in riddles_in(Path("new.py"), text)] == words


def test_a_vague_name_may_live_for_a_few_lines() -> None:
    short = "def total(values):\n    found = sum(values)\n    return found\n"
    long = "def total(values):\n    found = sum(values)\n\n\n\n    return found\n"
    assert list(vague_names_in(Path("new.py"), short)) == []
    assert [remark.text for remark in vague_names_in(Path("new.py"), long)] == [
        "'found' is no name for a value in total"
    ]


def test_words_in_stored_names_are_allowed_in_their_module_only() -> None:
    assert list(riddles_in(language.ROOT / "pytest_py312/rollout/domain/model.py", "twin")) == []
    assert len(list(riddles_in(language.ROOT / "pytest_py312/rollout/domain/journal.py", "twin"))) == 1
