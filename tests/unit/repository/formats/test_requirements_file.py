"""Requirements files as people write them: entries, and problems with their positions."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pytest_py312.repository.formats.requirements_file import FileOption, IncludedFile, read_requirements

SEED = Path(__file__).parents[5] / "shared" / "data" / "seed-platform"


def names(text: str) -> list[str]:
    return [entry.name for entry in read_requirements(text, "requirements.txt").entries]


def test_an_entry_contains_everything_of_its_line() -> None:
    """Name, extras, specifier, marker and line of one requirement."""
    text = "# web\n\nUvicorn[Standard] >= 0.23, <1 ; python_version < '3.12'  # keep\n"
    (entry,) = read_requirements(text, "requirements.txt").entries
    assert entry.name == "uvicorn"
    assert entry.extras == ("Standard",)
    assert entry.specifier == "<1,>=0.23"
    assert entry.marker == 'python_version < "3.12"'
    assert entry.line == 3
    assert Requirement(entry.text).name == "Uvicorn"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("asyncpg>=0.27.0,<0.28.0   # 异步数据库", "asyncpg"),
        ("pdfminer.six==20221105", "pdfminer-six"),
        ("langchain_community==0.0.10 ", "langchain-community"),
        ("\ufeffnumpy==1.26.4", "numpy"),
        ("types-passlib>=1.7.7.13,<1.7.8.0", "types-passlib"),
        ("opentelemetry-instrumentation-fastapi==0.41b0", "opentelemetry-instrumentation-fastapi"),
        ("pytz==2023.3.post1", "pytz"),
    ],
)
def test_unusual_and_legal_lines_are_read(line: str, name: str) -> None:
    """Comments in any language, dots and underscores, a byte order mark, pre- and post-releases."""
    assert names(line) == [name]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_all_kinds_of_line_ends_count(ending: str) -> None:
    """Windows and old Mac line ends, and no line end at the end of the file."""
    found = read_requirements(ending.join(["a==1", "", "b==2"]), "r.txt")
    assert [(entry.name, entry.line) for entry in found.entries] == [("a", 1), ("b", 3)]


def test_a_name_listed_twice_is_two_entries() -> None:
    """The resolver decides whether that is a conflict."""
    assert names("numpy>=1.26.3\nnumpy==1.26.3\n") == ["numpy", "numpy"]


def test_hashes_on_continued_lines_belong_to_their_requirement() -> None:
    """The format of pip-compile; the line is the first of them."""
    text = "x==1\nattrs==21.4.0 \\\n    --hash=sha256:aa \\\n    --hash sha256:bb\n    # via pytest\n"
    found = read_requirements(text, "r.txt")
    assert found.problems == ()
    assert [(entry.name, entry.line, entry.hashes) for entry in found.entries] == [
        ("x", 1, ()),
        ("attrs", 2, ("sha256:aa", "sha256:bb")),
    ]


def test_a_comment_ends_a_continued_line() -> None:
    """As in pip: the requirement before the comment is complete."""
    assert names("attrs==21.4.0 \\\n# via pytest\nclick==8\n") == ["attrs", "click"]


@pytest.mark.parametrize(
    ("line", "include"),
    [
        ("-r base.txt", IncludedFile(kind="requirements", path="base.txt", line=1)),
        ("-rbase.txt  # all", IncludedFile(kind="requirements", path="base.txt", line=1)),
        ("--requirement=base.txt", IncludedFile(kind="requirements", path="base.txt", line=1)),
        ("-c ../constraints.txt", IncludedFile(kind="constraints", path="../constraints.txt", line=1)),
    ],
)
def test_includes_are_not_requirements(line: str, include: IncludedFile) -> None:
    """Short and long forms, with and without a space."""
    assert read_requirements(line, "r.txt").includes == (include,)


def test_options_have_their_long_names() -> None:
    """Several on one line too; a flag has no value."""
    text = "-i https://index.invalid/simple --extra-index-url https://other.invalid\n--pre\n-f ./wheels\n"
    assert read_requirements(text, "r.txt").options == (
        FileOption(name="--index-url", value="https://index.invalid/simple", line=1),
        FileOption(name="--extra-index-url", value="https://other.invalid", line=1),
        FileOption(name="--pre", value="", line=2),
        FileOption(name="--find-links", value="./wheels", line=3),
    )


@pytest.mark.parametrize(
    ("line", "path", "editable"),
    [
        ("-e .", ".", True),
        ("-e ../libs/common[db]", "../libs/common", True),
        ("--editable=../libs/common", "../libs/common", True),
        ("./lib", "./lib", False),
        ("../lib[extra]", "../lib", False),
        ("libs/common", "libs/common", False),
        ("file:../lib", "../lib", False),
        ("common @ file:../lib", "../lib", False),
        ("wheels/x-1.0-py3-none-any.whl", "wheels/x-1.0-py3-none-any.whl", False),
    ],
)
def test_paths_of_the_repository_are_local_paths(line: str, path: str, editable: bool) -> None:
    """Every form of requiring a distribution beside the service."""
    found = read_requirements(line, "r.txt")
    assert [(local.path, local.editable) for local in found.local_paths] == [(path, editable)]
    assert found.entries == ()
    assert found.problems == ()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("torch @ https://files.invalid/torch-2.1.0-py3-none-any.whl", "torch"),
        ("https://files.invalid/torch-2.1.0-py3-none-any.whl", "torch"),
        ("https://files.invalid/my_pkg-1.0.tar.gz ; python_version < '3.12'", "my-pkg"),
        ("git+https://code.invalid/x/y.git@main#egg=My_Project", "my-project"),
        ("-e git+https://code.invalid/x/y.git#egg=y", "y"),
        ("git+https://code.invalid/x/y@e0e46f4", "y"),
        ("git+ssh://git@code.invalid/x/y", "y"),
        ("git+https://${TOKEN}@code.invalid/${GROUP}/y@main ; python_version < '3.12'", "y"),
    ],
)
def test_urls_are_entries_with_a_name(line: str, name: str) -> None:
    """PEP 508's ``name @ url``, and its equivalents."""
    (entry,) = read_requirements(line, "r.txt").entries
    assert entry.name == name
    assert entry.url
    assert canonicalize_name(Requirement(entry.text).name) == name


def test_environment_variables_are_listed_but_not_substituted() -> None:
    """They usually are secrets that are not available here."""
    (entry,) = read_requirements("x @ https://${TOKEN}@files.invalid/x-1.0.tar.gz", "r.txt").entries
    assert entry.variables == ("TOKEN",)
    assert "${TOKEN}" in entry.url


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("</kodu_content>", "markup"),
        ("requests=2.0", "requests==2.0"),
        ("not a requirement", "not a requirement that pip can read"),
        ("--indx-url x", 'perhaps you meant "--index-url"'),
        ("-r", "needs a value"),
        ("https://files.invalid/archive", "names no project"),
        ("x==1 --hsh=sha256:aa", 'perhaps you meant "--hash"'),
    ],
)
def test_what_pip_would_reject_is_a_problem_with_its_position(line: str, words: str) -> None:
    """The rest of the file is still read."""
    requirements = read_requirements(f"first==1\n  {line}\nlast==2", "r.txt")
    (problem,) = requirements.problems
    assert words in problem.message
    assert (problem.line, problem.column) == (2, 3)
    assert {"first", "last"} <= {entry.name for entry in requirements.entries}


def test_markers_distinguish_old_and_new_pythons() -> None:
    """3.9, 3.10 and 3.12 are compared as versions, not as text."""
    text = "a==1; python_version < '3.10'\nb==1; python_version >= '3.10' and python_version < '3.12'\nc==1"
    chosen = {
        version: [
            entry.name
            for entry in read_requirements(text, "r.txt").entries
            if not (marker := Requirement(entry.text).marker) or marker.evaluate({"python_version": version})
        ]
        for version in ("3.9", "3.10", "3.12")
    }
    assert chosen == {"3.9": ["a", "c"], "3.10": ["b", "c"], "3.12": ["c"]}


@given(st.text())
def test_no_text_crashes_the_reader(text: str) -> None:
    """Every entry is PEP 508, with a line of the file."""
    found = read_requirements(text, "r.txt")
    for entry in found.entries:
        assert canonicalize_name(Requirement(entry.text).name) == entry.name
        assert 1 <= entry.line <= text.count("\n") + text.count("\r") + 1


@given(st.lists(st.sampled_from([*"abc[]()=<>!~;@#$%-\\/ .,'\"\n\t\0", "-r ", "--hash=", "file:", "git+", "://"])))
def test_no_text_of_grammar_characters_crashes_the_reader(pieces: list[str]) -> None:
    """Pieces of the grammar in any order."""
    text = "".join(pieces)
    found = read_requirements(text, "r.txt")
    assert all(problem.message for problem in found.problems)


def test_a_line_of_blanks_is_read_in_linear_time_and_a_giant_one_refused() -> None:
    """Neither hangs."""
    found = read_requirements(" " * 1_000_000 + "\n" + "x" * 200_000, "r.txt")
    assert [problem.line for problem in found.problems] == [2]


@pytest.mark.skipif(not SEED.is_dir(), reason="the real requirement files are not beside this checkout")
def test_every_line_of_real_files_is_read_or_reported() -> None:
    """24 real files: one line in them is not a requirement, and it is reported."""
    files = sorted(SEED.rglob("requirements*.txt"))
    problems = []
    for file in files:
        text = file.read_bytes().decode("utf-8")
        found = read_requirements(text, file.name)
        problems += [problem.text for problem in found.problems]
        meant = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
        assert len(found.entries) + len(found.includes) + len(found.problems) == len(meant), file
    assert problems == ["</kodu_content>"]
