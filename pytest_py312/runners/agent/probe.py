"""The program that runs inside a cell, with the modules beside it: standard library only, for Python 3.8 and later.

    python probe.py REQUEST.json RECORDS.jsonl

It copies the service from ``source`` to ``scratch``, does there what the request says, and appends one JSON object per
line to RECORDS while it works, so that earlier results survive if the process ends early. The last line of a complete
run is ``{"event": "end", ...}``; without it the run counts as incomplete.

Requests (key ``kind``):

* ``suite``: ``runner`` (pytest, unittest, command; empty: none), ``arguments``, ``junit``, ``import_mode``,
  ``generate`` (of each command ``words``, and ``folders`` that it needs), ``prepare``, ``select`` (ids: only these
  tests), ``service`` (folder), ``working_folder`` (if it is another one),
  ``folders`` (copied), ``around`` (further files: path to content in base64), ``replaced`` (the same, in place of
  what was copied), ``python_path``, ``installed`` (source roots that act as installed), ``distribution`` (name,
  version, scripts, plugins: metadata of a service that is not built), ``started_modules`` (name, folder and kind:
  whether the suite imports them is recorded), ``ports`` (a folder: see shared_ports.py), ``test_limit`` (seconds for
  one test), ``python_warnings`` (the value of PYTHONWARNINGS), ``warning_options`` (values of the interpreter's
  ``-W``), ``commands`` (run after the suite: ``id``, ``words``, ``folder``, ``environment``, ``limit`` in seconds).
* ``imports``: import each of ``modules`` and record the result. With ``without_pth``, no .pth file is processed.
* ``start``: import ``modules`` (name, folder in the service, kind) from the service's own code; also ``prepare``,
  ``service``, ``folders``, ``python_path``, ``installed``, ``distribution`` and ``without_pth``. With ``batches``, each
  is imported by one process in its ``folder``: first the names in ``before``, whatever happens, then its ``modules``.
* ``benchmark``: see benchmark_probe.py in the same folder.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO, Any

    Request = Mapping[str, Any]
    """The content of REQUEST.json."""

TAIL_LINES = 14
TAIL_CHARACTERS = 2400
OUTPUT_BYTES = 64 * 1024
NOT_COPIED = {
    ".git", ".hg", ".svn", ".venv", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache", ".pytest_cache",
    ".ruff_cache", ".hypothesis", ".py312", ".eggs",
}  # fmt: skip
IMPORTED_FILES_LIMIT = 5000
GENERATION_LIMIT = 120  # seconds for one command that generates modules
FOLLOWED_LINKS_LIMIT = 1000
"""Links of one copied folder that are replaced by what they point to; links to folders of links would have no end."""


class Records:
    """The file of records, written with O_APPEND in single writes, so that forked children cannot tear lines.

    It is opened for each record: a suite may close all descriptors, and another file may get the same number. The
    functions are stored as attributes, so that tests that replace them (or a whole file system) leave records intact.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._open, self._write, self._close, self._pid = os.open, os.write, os.close, os.getpid
        self._dumps = json.dumps
        self._owner = os.getpid()

    def add(self, event: str, **fields: object) -> None:
        if self._pid() != self._owner:
            return  # a forked child of a test runs the same hooks, and must not report for its parent
        fields["event"] = event
        line = self._dumps(fields, ensure_ascii=True) + "\n"
        descriptor = self._open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._write(descriptor, line.encode("ascii"))
        self._close(descriptor)


def tail(text: str) -> str:
    """Return the last lines of a traceback, which developers read first.

    Of a long exception, such as one with a page of HTML, that pytest shows in lines with ``E``, the first one as well.
    """
    lines = text.strip().splitlines()
    first = len(lines) - 1
    while first >= 0 and not lines[first].startswith("E"):
        first -= 1
    while first > 0 and lines[first - 1].startswith("E"):
        first -= 1
    head = [lines[first][:TAIL_CHARACTERS]] if 0 <= first < len(lines) - TAIL_LINES else []
    return "\n".join([*head, "\n".join(lines[-TAIL_LINES:])[-TAIL_CHARACTERS:]])


_OTHER_KINDS = {
    "imports": ("import_probe", "run_imports"),
    "start": ("import_probe", "run_start"),
    "benchmark": ("benchmark_probe", "run"),
}
"""Kind of a request -> module of this folder and function that answer it."""


def main(argv: list[str]) -> int:
    if len(argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    with open(argv[1], encoding="utf-8") as file:
        request = json.load(file)
    records = Records(argv[2])
    folders = folders_of_run(request)
    records.add("start", python=sys.version.split()[0], executable=sys.executable, folders=folders)
    if request["kind"] == "suite":
        code = run_suite(request, records)
    else:
        module, function = _OTHER_KINDS[request["kind"]]
        code = getattr(agent_module(module), function)(request, records, sys.modules[__name__])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # the suite may have closed or replaced it; only the records matter
    records.add("end", code=code)
    # without waiting for threads that the suite left running, or for its atexit hooks
    os._exit(0)


def agent_module(name: str) -> Any:
    """Load another file of this folder; in a cell these are plain files without a package.

    Its name among the loaded modules is one that no service has: it hides none of these, and none of them hides it.
    """
    from importlib.machinery import SourceFileLoader

    own_name = "_py312_" + name
    if own_name not in sys.modules:
        file = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
        module = sys.modules[own_name] = type(sys)(own_name)
        module.__file__ = file
        SourceFileLoader(own_name, file).exec_module(module)
    return sys.modules[own_name]


def folders_of_run(request: Request) -> dict[str, str]:
    """Return the folders that differ between runs and interpreters, by the names of runners/suite_ids.py."""
    version = "%d.%d" % sys.version_info[:2]
    folders = {
        "<scratch>": str(request.get("scratch") or ""),
        "<site-packages>": os.path.join(sys.prefix, "lib", "python" + version, "site-packages"),
        "<environment>": sys.prefix,
        "<stdlib>": os.path.dirname(os.__file__),
    }
    if version in os.path.basename(sys.base_prefix):  # /opt/python3.12, but not /usr, which has more than Python
        folders["<python>"] = sys.base_prefix
    return folders


# ---- the scratch copy


def copy_source(request: Request) -> str:
    """Copy the request's folders from source to scratch, and return the service's folder there."""
    source, scratch = request["source"], request["scratch"]
    copied = {folder: os.path.normpath(os.path.join(source, folder)) for folder in request["folders"]}
    for folder, start in copied.items():
        target = os.path.normpath(os.path.join(scratch, "repository", folder))
        FolderCopy(source, list(copied.values())).copy(start, target)
    write_around(os.path.join(scratch, "repository"), request.get("around") or {})
    write_around(os.path.join(scratch, "repository"), request.get("replaced") or {}, replacing=True)
    service = os.path.normpath(os.path.join(scratch, "repository", request["service"]))
    os.makedirs(service, exist_ok=True)
    return service


def write_around(repository: str, files: Mapping[str, str], replacing: bool = False) -> None:
    """Write files around the service into the copy, without replacing what was copied, unless that is the purpose."""
    for name, content in files.items():
        target = os.path.normpath(os.path.join(repository, name))
        if _is_below(target, repository) and os.path.lexists(target) == replacing:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(base64.b64decode(content))


class FolderCopy:
    """Copies folders of a repository, and what their symlinks point to elsewhere in it.

    A relative link that stays within the copied folders stays a link. One that leaves them, such as
    ``requirements-common.txt -> ../requirements-common.txt``, would dangle in the copy: what it points to is copied in
    its place. Links that leave the repository, point to nothing, or to a folder that contains them, stay as they are.
    """

    def __init__(self, root: str, copied: Sequence[str]) -> None:
        self._root = os.path.realpath(root)
        self._copied = [os.path.realpath(folder) for folder in copied]
        self._remaining = FOLLOWED_LINKS_LIMIT

    def copy(self, folder: str, target: str) -> None:
        """Copy ``folder`` to ``target``, which may exist, without :data:`NOT_COPIED` and virtual environments."""
        self._copy_folder(folder, target, self._copied, (os.path.realpath(folder),))

    def _copy_folder(self, folder: str, target: str, copied: Sequence[str], entered: tuple[str, ...]) -> None:
        os.makedirs(target, exist_ok=True)
        for name in sorted(os.listdir(folder)):
            source, copy = os.path.join(folder, name), os.path.join(target, name)
            if name in NOT_COPIED or os.path.exists(os.path.join(source, "pyvenv.cfg")):
                continue
            if os.path.islink(source):
                self._copy_link(source, copy, copied, entered)
            elif os.path.isdir(source):
                self._copy_folder(source, copy, copied, entered)
            else:
                _copy(source, copy)

    def _copy_link(self, link: str, target: str, copied: Sequence[str], entered: tuple[str, ...]) -> None:
        text, real = os.readlink(link), os.path.realpath(link)
        if os.path.lexists(target):
            return
        if not self._is_followed(text, real, copied):
            os.symlink(text, target)
        elif os.path.isfile(real):
            self._remaining -= 1
            _copy(real, target)
        elif real in entered or _is_below(os.path.realpath(os.path.dirname(link)), real):
            os.symlink(text, target)
        else:
            self._remaining -= 1
            self._copy_folder(real, target, (real,), (*entered, real))

    def _is_followed(self, text: str, real: str, copied: Sequence[str]) -> bool:
        if not os.path.isabs(text) and any(_is_below(real, folder) for folder in copied):
            return False
        return (
            self._remaining > 0
            and _is_below(real, self._root)
            and NOT_COPIED.isdisjoint(real[len(self._root) :].split(os.sep))
            and (os.path.isfile(real) or os.path.isdir(real))
        )


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _copy(source: str, target: str) -> None:
    """Copy a file with its mode, made writable; skip sockets and devices."""
    if os.path.isfile(source):
        shutil.copyfile(source, target)
        os.chmod(target, (os.stat(source).st_mode & 0o777) | 0o600)


def make_home(scratch: str) -> None:
    """Make folders for files of the user and temporary ones: a module may need them when it is imported."""
    home = os.path.join(scratch, "home")
    temporary = os.path.join(scratch, "tmp")
    for folder in (home, temporary):
        os.makedirs(folder, exist_ok=True)
    os.environ.update(HOME=home, TMPDIR=temporary)


def prepare_paths(request: Request, service: str) -> None:
    """Set the paths of this process and its children as for an installed service."""
    scratch = request["scratch"]
    make_home(scratch)
    programs = os.path.dirname(sys.executable)
    path = [programs] + [item for item in os.environ.get("PATH", "").split(os.pathsep) if item and item != programs]
    installed = [os.path.join(service, root) for root in request.get("installed", ())]
    if request.get("distribution"):
        site = os.path.join(scratch, "site")
        path.insert(0, write_distribution(request["distribution"], site))
        installed.append(site)
    os.environ["PATH"] = os.pathsep.join(path)
    # the environment's py312.pth reads it in every interpreter that the suite starts, and adds the paths after the
    # standard library and site-packages, as `pip install -e` does
    os.environ["PY312_PATH"] = os.pathsep.join(installed)
    extra = [os.path.normpath(os.path.join(service, root)) for root in request.get("python_path", ())]
    if extra:
        os.environ["PYTHONPATH"] = os.pathsep.join(extra)
    working_folder = request.get("working_folder") or request["service"]
    folder = os.path.normpath(os.path.join(scratch, "repository", working_folder))
    os.chdir(folder)
    sys.path[0:1] = [folder, *extra]  # as `python -m pytest` does; [0] was the folder of this file
    sys.path.extend(installed)


def write_distribution(distribution: Mapping[str, Any], site: str) -> str:
    """Write metadata and console scripts of a service that is used without a build; return the scripts' folder."""
    name, version = distribution["name"], distribution["version"]
    info = os.path.join(site, "%s-%s.dist-info" % (name.replace("-", "_").replace(".", "_"), version))
    programs = os.path.join(site, "bin")
    os.makedirs(info)
    os.makedirs(programs)
    with open(os.path.join(info, "METADATA"), "w", encoding="utf-8") as file:
        file.write("Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version))
    with open(os.path.join(info, "entry_points.txt"), "w", encoding="utf-8") as file:
        group = ""
        scripts = [("console_scripts", name, target) for name, target in distribution["scripts"]]
        for section, name, target in [*scripts, *distribution["plugins"]]:
            file.write("%s%s = %s\n" % ("" if section == group else "[%s]\n" % section, name, target))
            group = section
    for script, target in distribution["scripts"]:
        module, _, function = target.partition(":")
        path = os.path.join(programs, os.path.basename(script))
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                "#!%s\nimport importlib, sys\nfunction = importlib.import_module(%r)\nfor name in %r.split('.'):\n"
                "    function = getattr(function, name)\nsys.exit(function())\n" % (sys.executable, module, function)
            )
        os.chmod(path, 0o755)
    return programs


def run_prepare(request: Request, records: Records, service: str) -> bool:
    """Run the plan's prepare commands in the service; return false if one fails, with a record that names it.

    Before them modules are generated as the service's image does it. If that fails, code that imports them shows it.
    """
    import subprocess

    for generation in request.get("generate", ()):
        with suppress(OSError, subprocess.TimeoutExpired):
            for folder in generation["folders"]:
                os.makedirs(os.path.join(service, folder), exist_ok=True)
            words = [sys.executable, *generation["words"][1:]]
            subprocess.run(words, cwd=service, check=False, timeout=GENERATION_LIMIT)
    for argv in request.get("prepare", ()):
        words = [sys.executable, *argv[1:]] if argv[0] in ("python", "python3") else argv
        try:
            done = subprocess.run(words, cwd=service, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            code, output = done.returncode, done.stdout.decode("utf-8", "replace")
        except OSError as error:
            code, output = 127, str(error)
        sys.stdout.write(output)
        if code != 0:
            what = "prepare command %r exited with %d" % (" ".join(argv), code)
            records.add("trouble", what=what, detail=tail(output))
            return False
    return True


# ---- suites


def run_suite(request: Request, records: Records) -> int:
    service = copy_source(request)
    prepare_paths(request, service)
    if not run_prepare(request, records, service):
        return 1
    if request.get("ports"):
        agent_module("shared_ports").wait_for_ports(request["ports"])
    apply_warning_options(request)
    environment = dict(os.environ)  # a suite may change its own
    runners = {"pytest": run_pytest, "unittest": run_unittest, "command": run_command}
    code = runners[request["runner"]](request, records) if request["runner"] else 0
    end = time.time() + request.get("commands_limit", 0)
    for command in request.get("commands", ()):
        limit = min(command["limit"], end - time.time())
        run_further_test({**command, "limit": max(0.0, limit)}, request, records, environment)
    return code


def run_further_test(
    command: Mapping[str, Any], request: Request, records: Records, environment: Mapping[str, str]
) -> None:
    """Run a command that tests the service beside its suite, and record how it ends."""
    import tempfile

    started = time.time()
    folder = os.path.join(request["scratch"], "repository", command["folder"])
    # not a pipe, which would stay open as long as a process that it leaves behind
    with tempfile.TemporaryFile() as output:
        end = _end_of_command(command, folder, {**environment, **dict(command["environment"])}, output)
        output.seek(max(0, output.tell() - OUTPUT_BYTES))
        printed = output.read().decode("utf-8", "replace")
    outcome = "passed" if end == "exit code 0" else "failed"
    detail = "" if outcome == "passed" else "%s\n%s" % (end, tail(printed))
    records.add("command", id=command["id"], outcome=outcome, seconds=time.time() - started, detail=detail)


def _end_of_command(command: Mapping[str, Any], folder: str, environment: Mapping[str, str], output: IO[bytes]) -> str:
    import signal
    import subprocess

    words = command["words"]
    program = sys.executable if words[0] == "python" else os.path.join(os.path.dirname(sys.executable), words[0])
    words = [program, *words[1:]]  # never a program of this machine, which runs with another Python
    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return "it could not be started: %s" % error
    try:
        return "exit code %d" % process.wait(command["limit"])
    except subprocess.TimeoutExpired:
        return "it did not end within %d seconds" % command["limit"]
    finally:
        with suppress(OSError):  # also what it has left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def apply_warning_options(request: Request) -> None:
    """Filter warnings as an interpreter does that is started so; processes that it starts inherit only the variable.

    This process starts without: what it imports for itself must not fail by a warning.
    """
    variable, options = request.get("python_warnings") or "", request.get("warning_options") or []
    if variable:
        os.environ["PYTHONWARNINGS"] = variable
    if request["runner"] == "command":
        return  # another process, with its own options
    sys.warnoptions += [*filter(None, variable.split(",")), *options]
    warnings._processoptions(sys.warnoptions)  # type: ignore[attr-defined]  # private, in 3.8 to 3.14


def imported_start_modules(request: Request) -> set[str]:
    """Return the modules among those which the service is started with that this process has imported.

    A suite may import them under another name, so their files count: those in the copy of the repository, or installed
    ones if the service is a distribution. A package that is run needs its ``__main__.py``.
    """
    started = request.get("started_modules") or []
    ends = tuple(name.rpartition(".")[2] + end for name, _, _ in started for end in (".py", os.sep + "__main__.py"))
    ends += tuple(name.rpartition(".")[2] + os.sep + "__init__.py" for name, _, _ in started)
    modules = [getattr(module, "__dict__", None) for module in list(sys.modules.values() if started else ())]
    named = [str(module.get("__file__")) for module in modules if type(module) is dict]
    files = {os.path.realpath(file) for file in named if file.endswith(ends)}
    service = os.path.realpath(os.path.join(request["scratch"], "repository", request["service"]))
    packages = os.path.realpath(folders_of_run(request)["<site-packages>"])
    imported: dict[str, bool] = {}
    for name, folder, kind in started:
        roots = [os.path.join(service, folder), *([packages] if "." in name or kind != "script" else [])]
        own_ends = [".py", os.sep + ("__init__.py" if kind == "module" else "__main__.py")]
        paths = [os.path.normpath(os.path.join(root, *name.split("."))) + end for root in roots for end in own_ends]
        imported[name] = imported.get(name, True) and any(path in files for path in paths)
    return {name for name, is_imported in imported.items() if is_imported}


def imported_files(request: Request) -> set[str]:
    """Return the files of the service that this process has imported, relative to it, also installed copies of them."""
    service = os.path.realpath(os.path.join(request["scratch"], "repository", request["service"]))
    packages = os.path.realpath(folders_of_run(request)["<site-packages>"])
    modules = [getattr(module, "__dict__", None) for module in list(sys.modules.values())]
    named = [module.get("__file__") for module in modules if type(module) is dict]
    files = {os.path.realpath(file) for file in named if type(file) is str and file.endswith(".py")}
    imported = {os.path.relpath(file, service) for file in files if _is_below(file, service)}
    for file in files:
        inner = os.path.relpath(file, packages) if _is_below(file, packages) else ""
        copies = (inner, os.path.join("src", inner)) if inner else ()
        imported.update(copy for copy in copies if _is_same_file(file, os.path.join(service, copy)))
    return imported


def _is_same_file(path: str, other: str) -> bool:
    """Return whether two files have the same content: an installed module may only have the name of one."""
    import filecmp

    try:
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False


def warning_recorder(request: Request) -> Any:
    """Return a recorder of the warnings of a suite."""
    return agent_module("warning_probe").WarningRecorder(os.path.join(request["scratch"], "repository"))


def worse(new: str, old: str) -> bool:
    """Return whether an outcome of a test is worse than another; empty for none."""
    order = ("", "passed", "xpassed", "skipped", "xfailed", "failed", "error")
    return order.index(new) > order.index(old)


def run_pytest(request: Request, records: Records) -> int:
    return int(agent_module("pytest_probe").run_pytest(request, records, sys.modules[__name__]))


def run_unittest(request: Request, records: Records) -> int:
    return int(agent_module("unittest_probe").run_unittest(request, records, sys.modules[__name__]))


def run_command(request: Request, records: Records) -> int:
    """Run any command that writes JUnit, and read the tests from that file."""
    import subprocess
    from xml.etree import ElementTree

    words = request["arguments"]
    words = [sys.executable, *words[1:]] if words[0] in ("python", "python3") else words
    with suppress(OSError):
        os.remove(request["junit"])  # it may be committed, or left by a prepare command
    try:
        code = subprocess.call(words)
    except OSError as error:
        records.add("trouble", what="the suite's command could not be started: %s" % error, detail="")
        return 127
    try:
        tree = ElementTree.parse(request["junit"])
    except (OSError, ElementTree.ParseError) as error:
        records.add("trouble", what="the suite's command exited with %d, and its JUnit file cannot be read: %s"
                    % (code, error), detail="")  # fmt: skip
        return code
    cases = list(tree.iter("testcase"))
    records.add("collected", count=len(cases))
    results: dict[str, tuple[str, float, str]] = {}
    for case in cases:
        name = "::".join(part for part in (case.get("classname"), case.get("name")) if part)
        outcome, detail = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                outcome = {"failure": "failed", "error": "error", "skipped": "skipped"}[child.tag]
                detail = tail((child.get("message") or "") + "\n" + (child.text or ""))
        if name not in results or worse(outcome, results[name][0]):
            results[name] = (outcome, _number(case.get("time")), detail)
    for name, (outcome, seconds, detail) in results.items():
        records.add("test", id=name, outcome=outcome, seconds=seconds, detail=detail)
    if code != 0 and not any(outcome in ("failed", "error") for outcome, _, _ in results.values()):
        what = "the suite's command exited with %d, but its JUnit file has no failed test" % code
        records.add("trouble", what=what, detail="")
    return code


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
