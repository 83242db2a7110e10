"""The oracle with real interpreters: their standard libraries and their compilers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.analysis.oracle.oracle import ASKABLE_MODULES, NOT_COMPILED, Oracle
from pytest_py312.analysis.oracle.probe_protocol import InterpreterUnavailable
from pytest_py312.analysis.scanner.facts.stdlib_queries import CompilerMessage, StdlibAnswer, StdlibQuery
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.runners.local import LocalRunner
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.local_runners import local_runner

INTERPRETERS = ("3.9", "3.10", "3.12", "3.13")

SLOW_TO_COMPILE = b"x = " + b"-" * 300_000 + b"1\n"
"""Nesting that compilers refuse, or that crashes their process."""


class Bench:
    """An oracle on a cache folder, with the interpreters of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner = local_runner(folder / "cache", folder)
        self.oracle = Oracle(cache=folder / "cache", tool_runner=self.runner)

    def build(self, interpreter: str) -> InterpreterBuild:
        try:
            return self.runner.find_interpreter(Interpreter.parse(interpreter))
        except CellUnavailable as reason:
            pytest.skip(str(reason))

    def ask(self, name: str, interpreter: str) -> StdlibAnswer:
        module, _, path = name.partition(":")
        question = StdlibQuery(module=module, path=path)
        return self.oracle.ask([question], self.build(interpreter)).answers[question]

    def compile(self, text: bytes, interpreter: str) -> tuple[CompilerMessage, ...]:
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
def test_presence_of_names_in_each_interpreter(bench: Bench, name: str) -> None:
    answers = {interpreter: bench.ask(name, interpreter) for interpreter in INTERPRETERS}

    words = {True: "yes", False: "no", None: "unknown"}
    assert " ".join(words[answer.present] for answer in answers.values()) == PRESENCE[name], answers
    assert all(answer.reason for answer in answers.values() if not answer.present)


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
def test_deprecations_are_reported_where_they_warn(bench: Bench, name: str, silent: str, warns: str) -> None:
    assert {interpreter: bench.ask(name, interpreter).warning for interpreter in silent.split()} == dict.fromkeys(
        silent.split(), ""
    )
    assert all(bench.ask(name, interpreter).warning for interpreter in warns.split())


def test_the_text_of_a_deprecation_is_that_of_the_warning(bench: Bench) -> None:
    assert bench.ask("unittest:TestCase().assertEquals", "3.10").warning == "Please use assertEqual instead."
    assert bench.ask("importlib.abc:ResourceReader", "3.12").warning == (
        "'importlib.abc.ResourceReader' is deprecated and slated for removal in Python 3.14"
    )
    assert bench.ask("unittest:TestCase().assertEquals", "3.10").warns_when_called
    assert not bench.ask("importlib.abc:ResourceReader", "3.12").warns_when_called
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
def test_parameters_of_each_interpreter(bench: Bench, name: str, parameter: str, taken: str, deprecated: str) -> None:
    signatures = {interpreter: bench.ask(name, interpreter).signature for interpreter in INTERPRETERS}

    having = [
        interpreter
        for interpreter, signature in signatures.items()
        if signature is not None and parameter in signature.keywords
    ]
    warning = [
        interpreter
        for interpreter, signature in signatures.items()
        if signature is not None and parameter in dict(signature.deprecated)
    ]
    assert having == taken.split()
    assert warning == deprecated.split()


def test_an_enumeration_has_no_signature(bench: Bench) -> None:
    """``HTTPStatus(404)`` works on all interpreters although their signatures differ."""
    for interpreter in INTERPRETERS:
        answer = bench.ask("http:HTTPStatus", interpreter)
        assert answer.is_class
        assert answer.signature is None


def test_a_bound_method_has_no_self_parameter(bench: Bench) -> None:
    of_instance, of_class = (
        bench.ask(f"threading:{path}", "3.12").signature for path in ("Thread().join", "Thread.join")
    )

    assert of_instance is not None
    assert of_instance.positional == ("timeout",)
    assert of_class is not None
    assert of_class.positional == ("self", "timeout")


def test_return_types_come_from_typeshed(bench: Bench) -> None:
    for interpreter in ("3.9", "3.10", "3.12"):
        assert "warning" in bench.ask("logging:getLogger().warn", interpreter).warning
        assert bench.ask("threading:current_thread().isAlive", interpreter).present is False
        assert bench.ask("json:loads().has_key", interpreter).present is None
        assert bench.ask("builtins:open().read", interpreter).present is None


def test_unknown_names_are_never_reported_as_absent(bench: Bench) -> None:
    for interpreter in ("3.9", "3.10", "3.12"):
        for name in ("requests", "urllib2", "argparse:Namespace().x", "sys:ps1", "tempfile:_TemporaryFileWrapper().x"):
            assert bench.ask(name, interpreter).present is None, name


def test_names_that_depend_on_the_build_are_never_absent(bench: Bench) -> None:
    """Another build of the same release may have other headers."""
    for interpreter in ("3.9", "3.10", "3.12"):
        for name in ("socket:AF_NOWHERE", "os:EX_NOWHERE", "select:KQ_NOTE_NOWHERE", "sys:gettotalrefcount"):
            assert bench.ask(name, interpreter).present is None, name
        assert bench.ask("socket:AF_INET", interpreter).present is True
        assert bench.ask("os:getcwdu", interpreter).present is False


def test_fields_of_a_data_class_are_present(bench: Bench) -> None:
    for interpreter in ("3.9", "3.10", "3.12"):
        assert bench.ask("pstats:FunctionProfile().cumtime", interpreter).present is True


def test_modules_with_side_effects_are_read_and_not_imported(bench: Bench) -> None:
    questions = [
        StdlibQuery(module="this"),
        StdlibQuery(module="antigravity"),
        StdlibQuery(module="test.support", path="TESTFN"),
    ]

    for interpreter in ("3.9", "3.10", "3.12"):
        reply = bench.oracle.ask(questions, bench.build(interpreter))
        assert reply.answers[questions[0]].present is True
        assert reply.answers[questions[1]].present is True
        assert reply.answers[questions[2]].present in (interpreter == "3.9", None)  # some images have no tests


def test_members_are_those_of_a_star_import(bench: Bench) -> None:
    old, new = (bench.ask("asyncio", interpreter).members for interpreter in ("3.9", "3.12"))

    assert old is not None
    assert new is not None
    assert "coroutine" in old
    assert "coroutine" not in new
    assert bench.ask("unittest:TestCase", "3.12").is_class


def test_all_standard_modules_can_be_queried(bench: Bench) -> None:
    for interpreter in ("3.10", "3.12", "3.13"):
        build = bench.build(interpreter)
        argv = ["{python}", "-I", "-c", "import sys; print(*sys.stdlib_module_names)"]
        assert set(bench.runner.run_tool(build, argv).stdout.split()) <= ASKABLE_MODULES


def test_a_services_module_does_not_replace_a_standard_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "imp.py").write_text("raise SystemExit('the service ran')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert Bench(tmp_path).ask("imp", "3.12").present is False


def test_answers_are_cached(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.ask("imp", "3.12")
    bench.compile(b"x = 1\n", "3.12")

    with monkeypatch.context() as patch:
        patch.setattr(LocalRunner, "run_tool", None)
        assert bench.ask("imp", "3.12") == first
        assert bench.compile(b"x = 1\n", "3.12") == ()


def test_an_interpreter_that_does_not_start_is_unavailable(bench: Bench, tmp_path: Path) -> None:
    broken = replace(bench.build("3.12"), executable=str(tmp_path / "python3.12"), digest="broken")

    with pytest.raises(
        InterpreterUnavailable, match=r"CPython 3\.12\.\d+ could not be asked: .*python3\.12 could not be started"
    ):
        bench.oracle.ask([StdlibQuery(module="imp")], broken)
    with pytest.raises(InterpreterUnavailable, match="could not be asked"):
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
def test_errors_and_warnings_of_compilers(bench: Bench, text: bytes, refused: str, warned: str) -> None:
    messages = {interpreter: bench.compile(text, interpreter) for interpreter in INTERPRETERS}

    assert [
        interpreter for interpreter, reported in messages.items() if any(message.is_error for message in reported)
    ] == refused.split()
    assert [
        interpreter for interpreter, reported in messages.items() if any(not message.is_error for message in reported)
    ] == warned.split()


def test_compiler_messages_have_their_line(bench: Bench) -> None:
    text = b"x = 1\nif x:\n    y = '\\d'\nz = [\n    ~False,\n]\n"

    assert [(message.line, message.column) for message in bench.compile(text, "3.12")] == [(3, None), (5, 5)]
    assert [(message.category, message.line) for message in bench.compile(text, "3.9")] == [("DeprecationWarning", 3)]
    error = bench.compile(b"x = 1\nprint x\n", "3.12")[0]
    assert (error.is_error, error.category, error.line, error.column) == (True, "SyntaxError", 2, 1)


def test_a_file_that_crashes_the_compiler_does_not_hide_others(bench: Bench) -> None:
    files = {"a.py": b"print 1\n", "b.py": SLOW_TO_COMPILE, "c.py": b"x = 1\n", "d.py": b"print 2\n"}

    for interpreter in ("3.9", "3.10", "3.12"):
        messages = bench.oracle.compile(files, bench.build(interpreter))
        assert [path for path, reported in messages.items() if reported] == ["a.py", "b.py", "d.py"]
        assert messages["b.py"][0].is_error
        assert messages["a.py"][0].category == "SyntaxError"


def test_a_file_that_is_too_large_is_not_compiled(bench: Bench) -> None:
    messages = bench.compile(b"#" * (8 * 1024 * 1024 + 1), "3.12")

    assert [(message.is_error, message.category) for message in messages] == [(True, NOT_COMPILED)]


def test_files_with_equal_content_get_the_same_messages(bench: Bench) -> None:
    files = {f"service{number}/module.py": b"print 3\n" for number in range(3)}

    messages = bench.oracle.compile(files, bench.build("3.12"))
    assert list(messages) == list(files)
    assert len(set(messages.values())) == 1
