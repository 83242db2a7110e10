"""Reading the Python files of services, their neighbour modules, and caching by content."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.files import parallel_scan, source_reader
from pytest_py312.analysis.files.source_reader import ScannedSource, SourceFolder, SourceReader
from pytest_py312.analysis.scanner import scan
from pytest_py312.analysis.scanner.facts.facts import pack
from pytest_py312.core.model.fleet import FileLines
from tests.support.fakes import service_tree

SERVICE = SourceFolder(path="services/api", roots=("services/api",))


def read(folder: Path, *, processes: int = 1, roots: tuple[str, ...] = SERVICE.roots) -> ScannedSource:
    reader = SourceReader(root=folder / "repository", cache=folder / "cache", processes=processes)
    return reader.read([SourceFolder(path=SERVICE.path, roots=roots)])[SERVICE.path]


def fleet(folder: Path, files: dict[str, str]) -> Path:
    return service_tree(folder / "repository" / SERVICE.path, files)


def asked(found: ScannedSource, path: str) -> set[str]:
    (facts,) = (facts for facts in found.facts if facts.path == f"{SERVICE.path}/{path}")
    return {reference.module for reference in facts.references}


def test_all_python_files_of_a_service_are_read_and_none_of_its_environments(tmp_path: Path) -> None:
    fleet(
        tmp_path,
        {
            "app/main.py": "import imp\n",
            "tests/test_main.py": "import asyncore\n",
            "tool.pyw": "import cgi\n",
            "env/pyvenv.cfg": "",
            "env/lib/site.py": "import smtpd\n",
            "node_modules/gyp.py": "import pipes\n",
            "notes.txt": "import nntplib\n",
        },
    )

    source = read(tmp_path)

    assert sorted(source.contents) == [
        f"{SERVICE.path}/{name}" for name in ("app/main.py", "tests/test_main.py", "tool.pyw")
    ]
    assert asked(source, "app/main.py") == {"imp"}
    assert source.unread == ()


@pytest.mark.parametrize(
    ("name", "first_line", "is_read"),
    [
        ("bin/manage", "#!/usr/bin/env python3", True),
        ("bin/manage", "#!/usr/bin/python3.9 -u", True),
        ("bin/manage", "#! /usr/bin/env -S python -u", True),
        ("bin/manage", "#!/opt/venv/bin/python", True),
        ("cgi-bin/hello.cgi", "#!/usr/bin/python3", True),
        ("app.wsgi", "import os", True),
        ("bin/nightly", "#!/bin/sh\n''''exec python \"$0\" \"$@\" # '''", True),
        ("bin/nightly", '#!/bin/sh\nexec python "$0"', False),
        ("bin/manage", "#!/usr/bin/env python2", False),  # no Python 3 runs it
        ("bin/manage", "#!/usr/bin/python2.7", False),
        ("bin/manage", "#!/bin/sh", False),
        ("bin/manage", "#!/bin/sh  # starts pythonic", False),
        ("bin/manage", "# python", False),
        ("hello.cgi", "#!/usr/bin/perl", False),
        (".git-hooks/.pre-commit", "#!/usr/bin/env python3", False),
        ("notes.txt", "#!/usr/bin/env python3", False),
    ],
)
def test_scripts_of_python_are_read_whatever_their_name(
    tmp_path: Path, name: str, first_line: str, is_read: bool
) -> None:
    fleet(tmp_path, {name: f"{first_line}\nimport imp\n", "bin/other.py": "", "LICENSE": "MIT\n"})

    source = read(tmp_path)

    assert sorted(source.contents) == sorted(
        f"{SERVICE.path}/{path}" for path in ("bin/other.py", *([name] if is_read else []))
    )
    assert not is_read or asked(source, name) == {"imp"} | ({"os"} if name == "app.wsgi" else set())


def test_files_that_commands_run_with_python_are_read(tmp_path: Path) -> None:
    files = {
        "jobs/purge": "import imp\n", "old/jobs/purge": "import cgi\n", "jobs/other": "import cgi\n",
        "bin/start": "#!/bin/sh\n", "bin/app": "PK\x03\x04", "bin/x": "a\0b", "run": "import pipes\n",
    }  # fmt: skip
    fleet(tmp_path, files)
    reader = SourceReader(root=tmp_path / "repository", cache=tmp_path / "cache", processes=1)

    scripts = ("jobs/purge", "bin/start", "bin/app", "bin/x", "run", "missing")
    source = reader.read([replace(SERVICE, scripts=scripts)])[SERVICE.path]

    assert sorted(source.contents) == [f"{SERVICE.path}/{name}" for name in ("jobs/purge", "run")]
    assert asked(source, "jobs/purge") == {"imp"}


@pytest.mark.parametrize(
    ("code", "is_read"),
    [
        ("app.config.from_pyfile('conf/app.cfg')", True),
        ("runpy.run_path('./app.cfg')", True),
        ("exec(open('conf/app.cfg').read(), scope)", True),
        ("exec(compile(open('conf/app.cfg').read(), 'x', 'exec'))", True),
        ("exec(Path('app.cfg').read_text())", True),
        ("exec(open(path).read())", False),
        ("open('conf/app.cfg').read()", False),
        ("runpy.run_path('other.cfg')", False),
    ],
)
def test_a_file_that_code_runs_as_python_is_read(tmp_path: Path, code: str, is_read: bool) -> None:
    """What it runs itself as well, and a file that runs itself once."""
    inner = "import imp\nexec(open('conf/inner.txt').read())\nexec(open('conf/app.cfg').read())\n"
    fleet(
        tmp_path, {"app.py": code, "conf/app.cfg": inner, "conf/inner.txt": "import asyncore\n", "old/conf/app.cfg": ""}
    )
    source = read(tmp_path)

    run = ("app.py", "conf/app.cfg", "conf/inner.txt") if is_read else ("app.py",)
    assert sorted(source.contents) == [f"{SERVICE.path}/{name}" for name in run]
    assert not is_read or asked(source, "conf/inner.txt") == {"asyncore"}


def test_a_script_is_no_module(tmp_path: Path) -> None:
    """``bin/imp`` does not hide the standard module from the files beside it."""
    fleet(tmp_path, {"bin/imp": "#!/usr/bin/env python3\n", "bin/tool.py": "import imp\n", "imp": "#!/bin/sh\n"})

    assert asked(read(tmp_path, roots=(f"{SERVICE.path}/bin",)), "bin/tool.py") == {"imp"}


def test_python_in_dockerfiles_and_scripts_is_read(tmp_path: Path) -> None:
    fleet(tmp_path, {"Dockerfile": "FROM python:3.9\nRUN python -c 'import imp'\n", "start.sh": "exec gunicorn app\n"})
    fleet(tmp_path, {"entrypoint": "#!/bin/bash\npython -m cgi\n", "notes": "python -m imp\n"})
    (tmp_path / "repository" / "docker").mkdir()
    (tmp_path / "repository" / "docker" / "Dockerfile").write_text("FROM python:3.9\nCMD python -m smtpd\n")
    (tmp_path / "repository" / "docker" / "start").write_text("#!/bin/sh\npython -m imp\n")
    reader = SourceReader(root=tmp_path / "repository", cache=tmp_path / "cache", processes=1)

    outside = ("docker/Dockerfile", "docker/start", "docker/missing.sh", "docker/missing")
    source = reader.read([replace(SERVICE, files=outside)])[SERVICE.path]

    assert sorted(source.contents) == [
        "docker/Dockerfile", "docker/start", f"{SERVICE.path}/Dockerfile", f"{SERVICE.path}/entrypoint",
    ]  # fmt: skip
    assert asked(source, "entrypoint") == {"cgi"}
    assert asked(source, "Dockerfile") == {"imp"}
    assert source.unread == ()


def test_of_a_file_that_starts_several_services_only_the_lines_of_one_count(tmp_path: Path) -> None:
    fleet(tmp_path, {"main.py": ""})
    text = "services:\n  a:\n    command: python -m cgi\n  b:\n    command: python -m smtpd\n"
    (tmp_path / "repository" / "compose.yml").write_text(text)
    reader = SourceReader(root=tmp_path / "repository", cache=tmp_path / "cache", processes=1)

    lines = (FileLines(path="compose.yml", first=4, last=5), FileLines(path="missing.yml", first=1, last=2))
    source = reader.read([replace(SERVICE, started_above=lines)])[SERVICE.path]

    (facts,) = (facts for facts in source.facts if facts.path == "compose.yml")
    assert [(reference.module, reference.line) for reference in facts.references] == [("smtpd", 5)]


def test_extension_modules_are_listed_where_there_is_nothing_to_compile(tmp_path: Path) -> None:
    """A local build leaves its result beside the sources."""
    compiled = "app/_fast.cpython-39-x86_64-linux-gnu.so"
    fleet(tmp_path, {"app/main.py": "", compiled: ""})
    reader = SourceReader(root=tmp_path / "repository", cache=tmp_path / "cache", processes=1)

    assert reader.load([SERVICE])[SERVICE.path].compiled == (f"{SERVICE.path}/{compiled}",)
    fleet(tmp_path, {"src/fast.pyx": ""})
    assert reader.load([SERVICE])[SERVICE.path].compiled == ()


def test_the_source_of_nested_services_is_excluded(tmp_path: Path) -> None:
    fleet(tmp_path, {"main.py": "import imp\n", "inner/main.py": "import cgi\n", "inner_too.py": "import pipes\n"})
    reader = SourceReader(root=tmp_path / "repository", cache=tmp_path / "cache", processes=1)

    found = reader.read([replace(SERVICE, nested_services=(f"{SERVICE.path}/inner",))])[SERVICE.path]

    assert sorted(found.contents) == [f"{SERVICE.path}/inner_too.py", f"{SERVICE.path}/main.py"]


def test_modules_on_the_import_path_shadow_standard_ones(tmp_path: Path) -> None:
    """A module or package, not a folder without ``__init__.py``; for scripts also beside them, but not inside of a
    package.
    """
    fleet(
        tmp_path,
        {
            "imp.py": "",
            "cgi/__init__.py": "",
            "pipes/data.py": "",
            "app/__init__.py": "",
            "app/smtpd.py": "",
            "app/main.py": "import imp, cgi, pipes, smtpd\n",
            "scripts/smtpd.py": "",
            "scripts/run.py": "import smtpd\n",
            "src/asyncore.py": "",
            "other.py": "import asyncore\n",
        },
    )

    source = read(tmp_path, roots=("services/api", "services/api/src"))

    assert asked(source, "app/main.py") == {"pipes", "smtpd"}
    assert asked(source, "scripts/run.py") == set()
    assert asked(source, "other.py") == set()


def test_what_cannot_be_read_is_reported_with_its_reason(tmp_path: Path) -> None:
    service = fleet(tmp_path, {"main.py": "import imp\n", "table.py": "x = 1\n" * (source_reader.FILE_LIMIT // 6 + 1)})
    service.joinpath("outside.py").symlink_to(tmp_path.parent / "elsewhere.py")
    service.joinpath(".#main.py").symlink_to("an editor's lock")

    source = read(tmp_path)

    assert {path.rpartition("/")[2] for path, _ in source.unread} == {"table.py", "outside.py"}
    assert all(reason for _, reason in source.unread)
    assert [facts.path for facts in source.facts] == [f"{SERVICE.path}/main.py"]


def test_a_link_is_read_as_the_file_it_leads_to(tmp_path: Path) -> None:
    """Once per service, and under the path where it can be fixed."""
    service = fleet(tmp_path, {"main.py": "import imp\n"})
    shared = tmp_path / "repository" / "shared" / "helpers.py"
    shared.parent.mkdir()
    shared.write_text("import cgi\n")
    service.joinpath("again.py").symlink_to("main.py")
    service.joinpath("helpers.py").symlink_to(shared)
    service.joinpath("help.py").symlink_to("helpers.py")

    source = read(tmp_path)

    assert source.unread == ()
    assert sorted(source.contents) == [f"{SERVICE.path}/main.py", "shared/helpers.py"]
    assert {facts.path for facts in source.facts} == set(source.contents)


def test_an_unchanged_file_is_not_scanned_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = fleet(tmp_path, {"one.py": "import imp\n", "two.py": "import cgi\n", "same.py": "import imp\n"})
    first_read = read(tmp_path)
    scanned: list[str] = []
    really = scan.scan_text

    def counted(text: bytes, path: str, *, local_modules: frozenset[str]) -> object:
        scanned.append(path.rpartition("/")[2])
        return really(text, path, local_modules=local_modules)

    monkeypatch.setattr(parallel_scan, "scan_text", counted)

    assert read(tmp_path) == first_read
    assert scanned == []
    service.joinpath("two.py").write_text("import smtpd\n")
    assert asked(read(tmp_path), "two.py") == {"smtpd"}
    assert scanned == ["two.py"]


def test_a_new_neighbour_file_changes_the_facts(tmp_path: Path) -> None:
    service = fleet(tmp_path, {"main.py": "import imp\n"})
    assert asked(read(tmp_path), "main.py") == {"imp"}
    service.joinpath("imp.py").touch()
    assert asked(read(tmp_path), "main.py") == set()


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"a": 1}', "null"])
def test_a_damaged_cache_is_ignored(tmp_path: Path, damage: str) -> None:
    fleet(tmp_path, {"main.py": "import imp\n"})
    first_read = read(tmp_path)
    (cache_file,) = (tmp_path / "cache" / "source").glob("*.json")
    cache_file.write_text(damage)
    assert read(tmp_path) == first_read
    cache_file.write_text(json.dumps(dict.fromkeys(json.loads(cache_file.read_text()), damage)))
    assert read(tmp_path) == first_read


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_content_is_lost_between_processes(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("between")
    asked_for, answered = folder / "asked", folder / "answered"
    asked_for.write_text(json.dumps([[f"{n}.py", data.decode("latin-1"), ["imp"]] for n, data in enumerate(contents)]))

    scan.scan_files(str(asked_for), str(answered))

    expected = [
        pack(scan.scan_text(data, f"{number}.py", local_modules=frozenset({"imp"})))
        for number, data in enumerate(contents)
    ]
    assert json.loads(answered.read_text()) == json.loads(json.dumps(expected))


@pytest.mark.parametrize("runs_other_tests", [True, False])
def test_tests_in_a_needed_folder_may_be_those_of_another_suite(tmp_path: Path, runs_other_tests: bool) -> None:
    """Those in a folder of tests: `ab_test.py` may well be a module of production."""
    files = {
        "services/a/main.py": "",
        "services/a/tests/test_main.py": "",
        "libs/common/ab_test.py": "",
        "libs/common/tests/test_shared.py": "",
    }
    root = service_tree(tmp_path / "repository", files)
    folder = SourceFolder(
        path="services/a", roots=("services/a",), needs=("libs/common",), runs_other_tests=runs_other_tests
    )

    read = SourceReader(root=root, cache=tmp_path / "cache", processes=1).read([folder])["services/a"]

    left_out = set() if runs_other_tests else {"libs/common/tests/test_shared.py"}
    assert read.contents.keys() == files.keys() - left_out


def test_needed_folders_and_link_targets_belong_to_the_source(tmp_path: Path) -> None:
    """A name that one of these folders has is local in all of them, and what lies around the service is not its own."""
    files = {
        "services/a/main.py": "import common\n",
        "libs/common/__init__.py": "import imp\n",
        "shared/tools/cmd.py": "import cmd\n",
        "services/b/other.py": "import cgi\n",
    }
    root = service_tree(tmp_path / "repository", files)
    (root / "services/a/tools").symlink_to("../../shared/tools")
    (root / "services/a/up").symlink_to("..")
    (root / "services/a/again").symlink_to("tools")
    folder = SourceFolder(path="services/a", roots=("services/a",), needs=("libs/common",))

    found = SourceReader(root=root, cache=tmp_path / "cache", processes=1).read([folder])["services/a"]

    assert sorted(found.contents) == ["libs/common/__init__.py", "services/a/main.py", "shared/tools/cmd.py"]
    assert found.unread == ()
