"""How a service's tests are run, determined from its files."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.repository.recipes.suites.pytest_settings import INI_FILES, read_pytest_settings
from pytest_py312.repository.services.detection.suites import collected_files, find_suite, settings_of_suite
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service


def suite_of(*files: str, **texts: str) -> tuple[tuple[str, ...], str] | None:
    """(arguments, import mode) of the suite of a service with these files; ``texts`` by name without the dot."""
    folders = {file.rpartition("/")[0] for file in files} - {""}
    named = {name.replace("_", "."): text for name, text in texts.items()}
    found = find_suite(files, sorted(folders), named, modules={"tests.py": "def test_a(): pass\n"}).suite
    return (found.arguments, found.import_mode) if found else None


def test_a_service_without_tests_has_no_suite() -> None:
    """Modules whose names only look like tests are none."""
    assert suite_of("app.py", "testing.py", "tests/helper.py") is None


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        (["tests/test_a.py"], ("tests",)),
        (["test/unit/a_test.py", "tests/test_b.py"], ("test", "tests")),
        (["app/tests/test_a.py"], ()),
        (["test_a.py"], ()),
        (["tests/test_a.py", "app/test_b.py", "test_c.py"], ("app", "test_c.py", "tests")),
        (["tests/test_a.py", "scripts/test_connection.py"], ("tests",)),
        (["tests/test_a.py", "src/app/test_utils.py"], ("tests",)),
        (["tests/test_a.py", "src/app/tests/test_b.py"], ("src", "tests")),
        (["src/app/test_utils.py"], ()),
        (["tests/test_a.py", "src/app/vendored/mozbuild/test/test_b.py"], ("tests",)),
    ],
)
def test_every_folder_with_tests_is_run(files: list[str], arguments: tuple[str, ...]) -> None:
    """A folder named tests does not hide the tests elsewhere; programs to try things out are no tests."""
    assert suite_of(*files) == (arguments, "")


def test_a_file_with_all_tests_is_run_by_its_name() -> None:
    """pytest collects ``tests.py`` only if it is named; beside files by pytest's names it is a module."""
    assert suite_of("app.py", "tests.py") == (("tests.py",), "")
    assert suite_of("app.py", "tests.py", "test_app.py") == ((), "")
    assert collected_files(["app.py", "tests.py"], ("tests.py",), read_pytest_settings({})) == ["tests.py"]


@pytest.mark.parametrize(
    ("text", "is_suite"),
    [
        ("async def test_a(): pass\n", True),
        ("class A(unittest.TestCase):\n    pass\n", True),
        ("import sys\nURL = sys.argv[1]\n", False),
    ],
)
def test_a_file_of_that_name_without_tests_is_not_run(text: str, is_suite: bool) -> None:
    found = find_suite(["tests.py"], [], {}, modules={"tests.py": text}).suite
    assert (found is not None) == is_suite


MANAGE = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
OLD_MANAGE = 'os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"\n'


@pytest.mark.parametrize(
    ("files", "texts_of", "manage", "arguments"),
    [
        (["orders/tests.py"], {}, MANAGE, ("--ds=shop.settings", "--override-ini=python_files=test*.py")),
        (["tests/test_a.py"], {}, OLD_MANAGE,
         ("tests", "--ds=shop.settings", "--override-ini=python_files=test*.py")),
        (["orders/test_a.py"], {"pytest.ini": "[pytest]\n"}, MANAGE, ()),
        (["orders/test_a.py", "conftest.py"], {}, MANAGE, ()),
        (["orders/test_a.py"], {}, "print('no Django')", ()),
    ],
)  # fmt: skip
def test_a_suite_of_django_is_run_with_its_settings(
    files: list[str], texts_of: dict[str, str], manage: str, arguments: tuple[str, ...]
) -> None:
    """As ``manage.py test`` does, unless pytest is configured by other means."""
    found = find_suite(files, [], texts_of, modules={"manage.py": manage})
    assert found.suite == Suite(kind=SuiteKind.PYTEST, arguments=arguments)
    assert ("pytest-django" in found.assumption) is any("--ds" in argument for argument in arguments)


def test_what_is_left_out_is_reported() -> None:
    """With the file."""
    found = find_suite(["tests/test_a.py", "scripts/test_b.py"], ["tests", "scripts"], {})
    assert "scripts/test_b.py" in found.assumption


def test_testpaths_that_exist_are_left_to_pytest() -> None:
    """Those that do not exist are not: pytest would fall back to everything."""
    ini = "[pytest]\ntestpaths = tests\n"
    assert suite_of("tests/test_a.py", pytest_ini=ini) == ((), "")
    assert suite_of("test/test_a.py", pytest_ini=ini) == (("test",), "")


def test_pytests_own_names_for_test_files_hold() -> None:
    """``python_files`` of whatever file pytest reads its settings from."""
    assert suite_of("pkg/tests/testmock.py", setup_cfg="[tool:pytest]\npython_files = test*.py\n") == ((), "")
    by_folder = '[tool.pytest.ini_options]\npython_files = ["tests/*.py", "tests/*/*.py"]\n'
    assert suite_of("tests/handlers/labs_test.py", pyproject_toml=by_folder) == (("tests",), "")
    assert suite_of("app/labs_test.py", pyproject_toml=by_folder) is None


@pytest.mark.parametrize(
    ("files", "mode"),
    [
        (["tests/a/test_x.py", "tests/b/test_x.py"], "importlib"),
        (["tests/a/__init__.py", "tests/a/test_x.py", "tests/b/__init__.py", "tests/b/test_x.py"], ""),
        (["tests/a/__init__.py", "tests/a/test_x.py", "tests/b/test_x.py"], ""),
        (["tests/test_x.py", "tests/test_y.py"], ""),
        (["a/t/__init__.py", "a/t/test_x.py", "b/t/__init__.py", "b/t/test_x.py"], "importlib"),
    ],
)
def test_files_that_would_be_one_module_need_another_import_mode(files: list[str], mode: str) -> None:
    """Conflicts are found by the dotted names under which pytest would import the files."""
    found = suite_of(*files)
    assert found is not None
    assert found[1] == mode


def test_an_import_mode_of_their_own_is_kept() -> None:
    """The service has settled it."""
    pyproject = '[tool.pytest.ini_options]\naddopts = "-q --import-mode=importlib"\n'
    assert suite_of("tests/a/test_x.py", "tests/b/test_x.py", pyproject_toml=pyproject) == (("tests",), "")


def test_settings_come_from_the_file_that_pytest_would_take() -> None:
    """pytest.ini even when it is empty; tox.ini only with its section."""
    assert read_pytest_settings({"pytest.ini": "", "setup.cfg": "[tool:pytest]\n"}).source == "pytest.ini"
    assert read_pytest_settings({"tox.ini": "[tox]\n", "setup.cfg": "[tool:pytest]\n"}).source == "setup.cfg"
    assert read_pytest_settings({"pyproject.toml": "[project]\n"}).source == ""


@given(st.sampled_from(INI_FILES), st.text())
def test_no_settings_crash(name: str, text: str) -> None:
    """Whatever stands there, the test file is found by one name or another, or not at all."""
    found = find_suite(["tests/test_a.py"], ["tests"], {name: text})
    assert found.suite is None or found.suite.arguments in ((), ("tests",))


@pytest.mark.parametrize(
    ("commands", "arguments"),
    [
        (
            "{posargs:py.test --cov-config=tox.ini --cov={toxinidir}/src/app --cov-report term tests}",
            ("tests",),
        ),
        ("\n    coverage erase\n    python -m pytest -q -n 2 {toxinidir}/tests {posargs}", ("tests",)),
        ("pytest {posargs:tests/unit}", ("tests/unit",)),
        ("pytest", ("app", "tests")),
        ("pytest gone", ("app", "tests")),
        ("pytest {posargs}", ("app", "tests")),
        ("echo tests", ("app", "tests")),
        ("pytest --cov-config .coveragerc --cov=src", ("app", "tests")),
        ("pytest .coveragerc", ("app", "tests")),
        ("pytest -c tox.ini --ignore app --junitxml tests/out.xml tests", ("tests",)),
        ("pytest --cov app tests/unit", ("tests/unit",)),
        ("pytest -x tests/unit", ("tests/unit",)),
        ("pytest tests/unit/test_a.py", ("tests/unit/test_a.py",)),
    ],
)
def test_tox_says_which_tests_are_run(commands: str, arguments: tuple[str, ...]) -> None:
    """What exists of its command's words; otherwise it is guessed."""
    tox = f"[tox]\nenvlist = py39\n\n[testenv]\ncommands = {commands}\n"
    files = ("tests/unit/test_a.py", "tests/test_b.py", "app/test_c.py", ".coveragerc", "tox.ini")
    assert suite_of(*files, tox_ini=tox) == (arguments, "")


@given(st.text(alphabet=st.sampled_from("{}posargs: pytest/tests-=\n  '\"[]"), max_size=60))
def test_no_command_of_tox_crashes(commands: str) -> None:
    """Whatever is in it."""
    assert suite_of("tests/test_a.py", tox_ini=f"[testenv]\ncommands = {commands}\n") is not None


# ---- what pytest collects

FILES = (
    "conftest.py", "setup.py", "test_root.py", "tests/conftest.py", "tests/unit/test_a.py", "tests/data/test_case.py",
    "sql/udf/test_sql.py", "build/lib/test_a.py", "script/legacy/test_old.py", "src/check_a.py",
)  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "ini", "collected"),
    [
        ("", "", [0, 2, 3, 4, 5, 6, 8]),
        ("tests -k unit", "", [0, 3, 4, 5]),
        ("-q ./tests/unit/test_a.py::test", "", [0, 3, 4]),
        ("", "testpaths = tests/unit sql/*", [0, 3, 4, 6]),
        ("", "testpaths = gone", [0, 2, 3, 4, 5, 6, 8]),
        ("sql", "testpaths = tests", [0, 6]),
        ("--ignore=./sql --ignore ./script/", "addopts = --ignore ./tests --log-level INFO", [0, 2]),
        ("--log-level INFO --ds app.settings", "testpaths = tests/unit", [0, 3, 4]),
        ("--ignore=sql --ignore script", "addopts = --ignore-glob=tests/*/test_case.py", [0, 2, 3, 4]),
        ("", "norecursedirs = script/legacy data", [0, 2, 3, 4, 6, 7]),
        ("", "python_files = check_*.py", [0, 3, 9]),
    ],
)
def test_the_files_that_pytest_imports(arguments: str, ini: str, collected: list[int]) -> None:
    settings = read_pytest_settings({"pytest.ini": f"[pytest]\n{ini}\n"})
    assert collected_files(FILES, arguments.split(), settings) == [FILES[number] for number in collected]


def test_the_settings_are_those_of_the_folder_in_which_the_suite_runs(tmp_path: Path) -> None:
    for folder in ("above", "above/user"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pytest.ini").write_text(f"[pytest]\ntestpaths = {folder}\n", encoding="utf-8")
    for folder, testpaths in (("above", "above"), ("", "above/user")):
        of = service(path="above/user", suite=Suite(kind=SuiteKind.PYTEST, folder=folder))
        assert settings_of_suite(Tree(tmp_path), of).testpaths == (testpaths,)


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({"tox.ini": "[testenv]\ncommands = pytest tests/unit\n"}, ("tests/unit", "tests/functional")),
        ({"pytest.ini": "[pytest]\ntestpaths = tests/unit\n"}, ("tests/unit", "tests/functional")),
        ({"pytest.ini": "[pytest]\ntestpaths = tests\n"}, ()),
        ({}, ("tests",)),
    ],
)
def test_what_another_run_of_the_job_tests_is_run_as_well(settings: dict[str, str], arguments: tuple[str, ...]) -> None:
    tests = ["tests/unit/test_a.py", "tests/functional/test_b.py"]
    folders = ["tests", "tests/unit", "tests/functional"]
    suite = find_suite(tests, folders, settings, further=("tests/functional",)).suite
    assert suite is not None
    assert suite.arguments == arguments


PLUGINS = 'pytest_plugins = ["tests.fixtures"]\n'


@pytest.mark.parametrize(
    ("settings", "conftests", "arguments"),
    [
        ({}, {"tests/unit/conftest.py": PLUGINS}, ("tests", "tests/unit")),
        ({}, {"tests/unit/conftest.py": "import pytest\n"}, ("tests",)),
        ({}, {"tests/unit/conftest.py": "def pytest_addoption(parser): pass\n"}, ("tests", "tests/unit")),
        ({}, {"tests/test_api/conftest.py": PLUGINS}, ("tests",)),
        ({}, {"tests/conftest.py": PLUGINS, "conftest.py": PLUGINS}, ("tests",)),
        ({}, {"tests/inner/conftest.py": PLUGINS, "tests/docs/conftest.py": PLUGINS}, ("tests",)),
        ({"pytest.ini": "[pytest]\ntestpaths = tests/unit\n"}, {"tests/unit/conftest.py": PLUGINS}, ()),
        (
            {"pytest.ini": "[pytest]\ntestpaths = tests\n"},
            {"tests/unit/conftest.py": PLUGINS},
            ("tests", "tests/unit"),
        ),
    ],
)
def test_a_conftest_with_plugins_is_an_initial_one(
    settings: dict[str, str], conftests: dict[str, str], arguments: tuple[str, ...]
) -> None:
    """pytest refuses plugins in a conftest that it meets while it collects; such a project's CI names the folder."""
    tests = ["tests/unit/test_a.py", "tests/test_api/test_b.py", "tests/inner/test_c.py"]
    folders = ["tests", "tests/unit", "tests/test_api", "tests/inner"]
    suite = find_suite(tests, folders, settings, ["tests/inner"], conftests=conftests).suite
    assert suite is not None
    assert tuple(word for word in suite.arguments if not word.startswith("--ignore")) == arguments


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        (["app.py", "tests/app_tests.py"], ("tests/app_tests.py",)),
        (["app.py", "tests/test_app.py", "tests/app_tests.py"], ("tests", "tests/app_tests.py")),
        (["app.py", "test_app.py", "tests/app_tests.py"], (".", "tests/app_tests.py")),
    ],
)
def test_files_of_unittest_with_other_names_are_named(files: list[str], arguments: tuple[str, ...]) -> None:
    suite = find_suite(files, ["tests"], {}, further=("tests/app_tests.py",)).suite
    assert suite is not None
    assert suite.arguments == arguments
