"""Real interpreters asked about their own standard library, and their compilers about files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.analysis.oracle.oracle import ASKABLE, NOT_COMPILED, Oracle
from pytest_py312.analysis.oracle.probe_protocol import Unanswered
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Complaint, Question
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.local_runners import local_runner

INTERPRETERS = ("3.9", "3.10", "3.12", "3.13")

SLOW_TO_COMPILE = b"x = " + b"-" * 300_000 + b"1\n"
"""Nesting that compilers refuse, or that takes their process down."""


class Bench:
    """An oracle on a cache folder, with the interpreters of this machine behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner = local_runner(folder / "cache", folder)
        self.oracle = Oracle(cache=folder / "cache", door=self.runner)

    def build(self, interpreter: str) -> InterpreterBuild:
        try:
            return self.runner.find(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))

    def ask(self, name: str, interpreter: str) -> Answer:
        module, _, path = name.partition(":")
        question = Question(module=module, path=path)
        return self.oracle.ask([question], self.build(interpreter)).answers[question]

    def compile(self, text: bytes, interpreter: str) -> tuple[Complaint, ...]:
        return self.oracle.compile({"service/module.py": text}, self.build(interpreter))["service/module.py"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("oracle"))
    yield made
    made.runner.close()


PRESENCE = {
    # name: the interpreters of 3.9, 3.10, 3.12, 3.13 that have it
    "distutils": "yes yes no no",
    "imp:reload": "yes yes no no",
    "asyncore": "yes yes no no",
    "formatter": "yes no no no",
    "cgi": "yes yes yes no",
    "typing.re": "yes yes yes no",
    "xml.etree.cElementTree": "yes yes yes yes",
    "collections:Mapping": "yes no no no",
    "collections.abc:Mapping": "yes yes yes yes",
    "asyncio:coroutine": "yes yes no no",
    "asyncio:timeout": "no no yes yes",
    "inspect:getargspec": "yes yes no no",
    "configparser:SafeConfigParser": "yes yes no no",
    "configparser:ConfigParser().readfp": "yes yes no no",
    "unittest:TestCase().assertEquals": "yes yes no no",
    "unittest:TestCase.assertEqual": "yes yes yes yes",
    "threading:Thread().isAlive": "no no no no",
    "threading:Thread().is_alive": "yes yes yes yes",
    "locale:resetlocale": "yes yes yes no",
    "ssl:wrap_socket": "yes yes no no",
    "typing:ByteString": "yes yes yes yes",
    "datetime:UTC": "no no yes yes",
    "array:array().tostring": "no no no no",
    "os:path.join": "yes yes yes yes",
    "os:environ.has_key": "no no no no",
    "http:HTTPStatus.OK.phrase": "yes yes yes yes",
    "importlib.metadata:entry_points().select": "unknown yes yes yes",
    "concurrent:futures": "yes yes yes yes",
    "subprocess:Popen().returncode": "yes yes yes yes",
    "builtins:exit": "yes yes yes yes",
    "msvcrt": "no no no no",
    "this": "yes yes yes yes",
}


@pytest.mark.parametrize("name", PRESENCE)
def test_an_interpreter_knows_what_it_has(bench: Bench, name: str) -> None:
    said = {interpreter: bench.ask(name, interpreter) for interpreter in INTERPRETERS}

    words = {True: "yes", False: "no", None: "unknown"}
    assert " ".join(words[answer.present] for answer in said.values()) == PRESENCE[name], said
    assert all(answer.reason for answer in said.values() if not answer.present)


@pytest.mark.parametrize(
    ("name", "silent", "warns"),
    [
        ("datetime:datetime.utcnow", "3.9 3.10", "3.12 3.13"),
        ("ast:Str", "3.9 3.10", "3.12 3.13"),
        ("distutils", "3.9", "3.10"),
        ("collections:Mapping", "", "3.9"),
        ("unittest:TestCase().assertEquals", "", "3.9 3.10"),
        ("locale:resetlocale", "3.9 3.10", "3.12"),
        ("lib2to3.fixer_util", "", "3.9 3.10 3.12"),
        ("smtpd", "3.9", "3.10"),
        ("importlib.resources:open_text", "3.9 3.10", "3.12"),
        ("pkgutil:ImpImporter", "", "3.9 3.10"),
        ("threading:Condition().notifyAll", "3.9", "3.10 3.12 3.13"),
        ("typing.re:Pattern", "3.9 3.10", "3.12"),
        ("datetime:datetime.now", "3.9 3.10 3.12 3.13", ""),
        ("gettext:translation", "3.9 3.10 3.12 3.13", ""),
        ("xml.etree.cElementTree", "3.9 3.10 3.12 3.13", ""),
    ],
)
def test_a_deprecation_is_told_where_it_warns(bench: Bench, name: str, silent: str, warns: str) -> None:
    assert {interpreter: bench.ask(name, interpreter).warning for interpreter in silent.split()} == dict.fromkeys(
        silent.split(), ""
    )
    assert all(bench.ask(name, interpreter).warning for interpreter in warns.split())


def test_the_text_of_a_deprecation_is_the_one_that_a_user_sees(bench: Bench) -> None:
    assert bench.ask("unittest:TestCase().assertEquals", "3.10").warning == "Please use assertEqual instead."
    assert bench.ask("importlib.abc:ResourceReader", "3.12").warning == (
        "'importlib.abc.ResourceReader' is deprecated and slated for removal in Python 3.14"
    )
    assert bench.ask("unittest:TestCase().assertEquals", "3.10").when_called
    assert not bench.ask("importlib.abc:ResourceReader", "3.12").when_called
    assert "use exec_module() instead" in bench.ask("zipimport:zipimporter().load_module", "3.12").warning
    assert "slated for removal in Python 3.12" in bench.ask("imp", "3.10").warning


@pytest.mark.parametrize(
    ("name", "parameter", "taken", "deprecated"),
    [
        ("asyncio:sleep", "loop", "3.9", "3.9"),
        ("asyncio:Lock", "loop", "3.9", "3.9"),
        ("asyncio:Queue", "loop", "3.9", "3.9"),
        ("gettext:translation", "codeset", "3.9 3.10", "3.9 3.10"),
        ("random:shuffle", "random", "3.9 3.10", "3.9 3.10"),
        ("http.client:HTTPSConnection", "key_file", "3.9 3.10", "3.9 3.10"),
        ("email.utils:localtime", "isdst", "3.9 3.10 3.12 3.13", "3.12 3.13"),
        ("importlib.resources:files", "package", "3.9 3.10 3.12 3.13", "3.12 3.13"),
        ("functools:singledispatch", "func", "3.9 3.10 3.12 3.13", ""),
        ("contextlib:contextmanager", "func", "3.9 3.10 3.12 3.13", ""),
        ("traceback:format_exception", "etype", "3.9", ""),
        ("logging:getLogger", "name", "3.9 3.10 3.12 3.13", ""),
    ],
)
def test_parameters_come_go_and_warn(bench: Bench, name: str, parameter: str, taken: str, deprecated: str) -> None:
    signatures = {interpreter: bench.ask(name, interpreter).signature for interpreter in INTERPRETERS}

    having = [one for one, found in signatures.items() if found is not None and parameter in found.keywords]
    warning = [one for one, found in signatures.items() if found is not None and parameter in dict(found.deprecated)]
    assert having == taken.split()
    assert warning == deprecated.split()


def test_what_an_enumeration_takes_is_not_told(bench: Bench) -> None:
    """``HTTPStatus(404)`` is well on all, though the signature says something else on each."""
    for interpreter in INTERPRETERS:
        answer = bench.ask("http:HTTPStatus", interpreter)
        assert answer.is_class
        assert answer.signature is None


def test_a_method_takes_what_is_given_to_it_without_its_first_parameter(bench: Bench) -> None:
    of_instance, of_class = (
        bench.ask(f"threading:{path}", "3.12").signature for path in ("Thread().join", "Thread.join")
    )

    assert of_instance is not None
    assert of_instance.positional == ("timeout",)
    assert of_class is not None
    assert of_class.positional == ("self", "timeout")


def test_what_a_function_gives_is_taken_from_typeshed(bench: Bench) -> None:
    for interpreter in ("3.9", "3.10", "3.12"):
        assert "warning" in bench.ask("logging:getLogger().warn", interpreter).warning
        assert bench.ask("threading:current_thread().isAlive", interpreter).present is False
        assert bench.ask("json:loads().has_key", interpreter).present is None
        assert bench.ask("builtins:open().read", interpreter).present is None


def test_what_it_does_not_know_is_never_called_absent(bench: Bench) -> None:
    for interpreter in ("3.9", "3.10", "3.12"):
        for name in ("requests", "urllib2", "argparse:Namespace().x", "sys:ps1", "tempfile:_TemporaryFileWrapper().x"):
            assert bench.ask(name, interpreter).present is None, name


def test_what_a_build_may_lack_is_not_what_a_release_has_removed(bench: Bench) -> None:
    """Another image of the same release may have been built with other headers."""
    for interpreter in ("3.9", "3.10", "3.12"):
        for name in ("socket:AF_NOWHERE", "os:EX_NOWHERE", "select:KQ_NOTE_NOWHERE", "sys:gettotalrefcount"):
            assert bench.ask(name, interpreter).present is None, name
        assert bench.ask("socket:AF_INET", interpreter).present is True
        assert bench.ask("os:getcwdu", interpreter).present is False


def test_fields_of_a_data_class_are_there(bench: Bench) -> None:
    for interpreter in ("3.9", "3.10", "3.12"):
        assert bench.ask("pstats:FunctionProfile().cumtime", interpreter).present is True


def test_modules_that_do_something_are_read_and_not_imported(bench: Bench) -> None:
    questions = [
        Question(module="this"),
        Question(module="antigravity"),
        Question(module="test.support", path="TESTFN"),
    ]

    for interpreter in ("3.9", "3.10", "3.12"):
        said = bench.oracle.ask(questions, bench.build(interpreter))
        assert said.answers[questions[0]].present is True
        assert said.answers[questions[1]].present is True
        assert said.answers[questions[2]].present in (interpreter == "3.9", None)  # some images have no tests


def test_members_are_what_a_star_import_brings(bench: Bench) -> None:
    old, new = (bench.ask("asyncio", interpreter).members for interpreter in ("3.9", "3.12"))

    assert old is not None
    assert new is not None
    assert "coroutine" in old
    assert "coroutine" not in new
    assert bench.ask("unittest:TestCase", "3.12").is_class


def test_every_standard_module_of_every_interpreter_may_be_asked_for(bench: Bench) -> None:
    for interpreter in ("3.10", "3.12", "3.13"):
        build = bench.build(interpreter)
        argv = ["{python}", "-I", "-c", "import sys; print(*sys.stdlib_module_names)"]
        assert set(bench.runner.tool(build, argv).stdout.split()) <= ASKABLE


def test_a_service_cannot_slip_its_own_module_in(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "imp.py").write_text("raise SystemExit('the service ran')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert Bench(tmp_path).ask("imp", "3.12").present is False


def test_an_answer_is_remembered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.ask("imp", "3.12")
    bench.compile(b"x = 1\n", "3.12")

    with monkeypatch.context() as patch:
        patch.setattr(LocalRunner, "tool", None)
        assert bench.ask("imp", "3.12") == first
        assert bench.compile(b"x = 1\n", "3.12") == ()


def test_an_interpreter_that_does_not_start_has_answered_nothing(bench: Bench, tmp_path: Path) -> None:
    broken = replace(bench.build("3.12"), executable=str(tmp_path / "python3.12"), digest="broken")

    with pytest.raises(Unanswered, match=r"CPython 3\.12\.\d+ could not be asked: .*python3\.12 could not be started"):
        bench.oracle.ask([Question(module="imp")], broken)
    with pytest.raises(Unanswered, match="could not be asked"):
        bench.oracle.compile({"a.py": b"x = 1\n"}, broken)


# ---- compilers


@pytest.mark.parametrize(
    ("text", "refused", "warned"),
    [
        (b"x = 1\n", "", ""),
        (b"print 'x'\n", "3.9 3.10 3.12 3.13", ""),
        (b"match x:\n    case 1:\n        pass\n", "3.9", ""),
        (b"type A = int\n", "3.9 3.10", ""),
        (b"x = '\\d'\n", "", "3.9 3.10 3.12 3.13"),
        (b"x = ~True\n", "", "3.12 3.13"),
        (b"x = 1 is 1\n", "", "3.9 3.10 3.12 3.13"),
        (b"x = '\0'\n", "3.9 3.10 3.12 3.13", ""),
        (b"# coding: klingon\n", "3.9 3.10 3.12 3.13", ""),
        (b"x = '\xff'\n", "3.9 3.10 3.12 3.13", ""),
        (b"# coding: latin-1\nx = '\xff'\n", "", ""),
        (b"(" * 5000, "3.9 3.10 3.12 3.13", ""),
    ],
)
def test_a_compiler_refuses_and_warns(bench: Bench, text: bytes, refused: str, warned: str) -> None:
    said = {interpreter: bench.compile(text, interpreter) for interpreter in INTERPRETERS}

    assert [one for one, found in said.items() if any(complaint.error for complaint in found)] == refused.split()
    assert [one for one, found in said.items() if any(not complaint.error for complaint in found)] == warned.split()


def test_a_complaint_has_its_line(bench: Bench) -> None:
    text = b"x = 1\nif x:\n    y = '\\d'\nz = [\n    ~False,\n]\n"

    assert [(found.line, found.column) for found in bench.compile(text, "3.12")] == [(3, None), (5, 5)]
    assert [(found.category, found.line) for found in bench.compile(text, "3.9")] == [("DeprecationWarning", 3)]
    error = bench.compile(b"x = 1\nprint x\n", "3.12")[0]
    assert (error.error, error.category, error.line, error.column) == (True, "SyntaxError", 2, 1)


def test_a_file_that_ends_the_compiler_does_not_hide_the_others(bench: Bench) -> None:
    files = {"a.py": b"print 1\n", "b.py": SLOW_TO_COMPILE, "c.py": b"x = 1\n", "d.py": b"print 2\n"}

    for interpreter in ("3.9", "3.10", "3.12"):
        said = bench.oracle.compile(files, bench.build(interpreter))
        assert [path for path, complaints in said.items() if complaints] == ["a.py", "b.py", "d.py"]
        assert said["b.py"][0].error
        assert said["a.py"][0].category == "SyntaxError"


def test_a_file_that_is_too_large_is_not_compiled(bench: Bench) -> None:
    complaints = bench.compile(b"#" * (8 * 1024 * 1024 + 1), "3.12")

    assert [(found.error, found.category) for found in complaints] == [(True, NOT_COMPILED)]


def test_files_of_one_content_are_compiled_once_and_all_answered(bench: Bench) -> None:
    files = {f"service{number}/module.py": b"print 3\n" for number in range(3)}

    said = bench.oracle.compile(files, bench.build("3.12"))
    assert list(said) == list(files)
    assert len(set(said.values())) == 1
