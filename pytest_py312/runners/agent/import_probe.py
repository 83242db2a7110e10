"""The probe's imports of modules: standard library only, for Python 3.8 and later. Used by probe.py.

Requests of the kinds ``imports`` and ``start`` are answered here; probe.py documents their keys.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Request = Mapping[str, Any]


def run_imports(request: Request, records: Any, probe: Any) -> int:
    """Import each module. One that fails here is imported again in a fresh process before it counts as failed.

    ``probe`` is the module of probe.py. Nothing more than it needs is imported before the modules.
    """
    probe.make_home(request["scratch"])
    os.chdir(request["scratch"])
    sys.path[0:1] = []
    del sys.argv[1:]
    without_pth = bool(request.get("without_pth"))
    failed: list[str] = []
    for name in request["modules"]:
        records.add("importing", module=name)
        if without_pth:
            failed.append(name)
            continue
        try:
            importlib.import_module(name)
        except BaseException:  # a module may raise SystemExit, or worse
            failed.append(name)
        else:
            records.add("import", module=name, ok=True, detail="")
    for name in failed:
        records.add("importing", module=name)
        ok, detail = import_alone(probe, name, without_pth=without_pth)
        records.add("import", module=name, ok=ok, detail=detail)
    return 0


IMPORT_SCRIPT = """\
import ast, importlib, importlib.util, os, sys
name, kind, *folders = sys.argv[1:]
del sys.argv[1:]
if sys.flags.no_site:
    import site
    sys.path += folders
    site.setquit()
    site.sethelper()
spec = None
if kind == "command" and os.path.exists("manage.py"):
    import re
    with open("manage.py", "rb") as file:
        settings = re.search(rb"DJANGO_SETTINGS_MODULE., *.([\\w.]+)", file.read())
    if settings:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings.group(1).decode())
    import django
    django.setup()
if kind in ("script", "file"):
    file, name = os.path.abspath(name + ".py"), "__mp_main__"
    spec = importlib.util.spec_from_file_location(name, file)
elif kind == "program":
    spec = importlib.util.find_spec(name)
if spec is not None and spec.submodule_search_locations is not None:
    importlib.import_module(name)
    name += ".__main__"
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ImportError("No module named %s" % name)
text = b""
if spec is not None and spec.origin and spec.origin.endswith(".py"):
    with open(spec.origin, "rb") as file:
        text = file.read()
if text and kind != "file" and (b"__main__" not in text or name.endswith(".__main__")):
    variables = {
        "__name__": name, "__package__": name.rpartition(".")[0], "__file__": spec.origin, "__builtins__": __builtins__,
    }
    for node in ast.parse(text, spec.origin).body:
        is_import = isinstance(node, (ast.Import, ast.ImportFrom))
        changed = (part for part in ast.walk(node) if isinstance(part, ast.Attribute) and part.attr == "path")
        if is_import or any(isinstance(part.value, ast.Name) and part.value.id == "sys" for part in changed):
            try:
                exec(compile(ast.Module(body=[node], type_ignores=[]), spec.origin, "exec"), variables)
            except Exception:
                if is_import:
                    raise
                break
elif kind in ("script", "file"):
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
else:
    importlib.import_module(name)
"""
"""Imports a module. Of a program (``python -m``, or a script) that runs whatever imports it, only the imports are
executed, and what changes ``sys.path`` for them: after a change that needs more, nothing is known. A script has the
name that a process of ``multiprocessing`` gives it: a package beside it may have its own. A file is executed as a
whole. A command of Django is imported with the settings that ``manage.py`` names. A module that parses the command line
on import gets an empty one.

Without ``site`` no ``.pth`` file is processed: the folders of the environment are on the path, as with PYTHONPATH.
"""
IMPORT_TIME_LIMIT = 90


def import_alone(
    probe: Any, name: str, kind: str = "module", *, without_pth: bool = False, folder: str = ""
) -> tuple[bool, str]:
    """Import a module in a fresh process. Raises ``subprocess.TimeoutExpired``."""
    import subprocess

    done = subprocess.run(
        [sys.executable, *(["-S"] if without_pth else []), "-c", IMPORT_SCRIPT, name, kind, *folders_without_site()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
        cwd=folder or None,
        timeout=IMPORT_TIME_LIMIT if folder else None,
    )
    return done.returncode == 0, probe.tail(done.stderr.decode("utf-8", "replace")) or "exit code %d" % done.returncode


def folders_without_site() -> list[str]:
    """Return the folders of the environment that are on the path where ``site`` is not loaded."""
    version = "%d.%d" % sys.version_info[:2]
    installed = [item for item in os.environ.get("PY312_PATH", "").split(os.pathsep) if item]
    return [os.path.join(sys.prefix, "lib", "python" + version, "site-packages"), *installed]


BATCH_SCRIPT = """\
import importlib, json, os, sys, traceback
batch_file, *folders = sys.argv[1:]
del sys.argv[1:]
if sys.flags.no_site:
    import site
    sys.path += folders
    site.setquit()
    site.sethelper()
with open(batch_file) as file:
    batch = json.load(file)
for name in batch["before"]:
    try:
        importlib.import_module(name)
    except BaseException:
        pass
for name in batch["modules"]:
    detail = ""
    try:
        importlib.import_module(name)
    except BaseException as error:
        parent, _, member = name.rpartition(".")
        is_member = isinstance(error, ModuleNotFoundError) and error.name == name
        if not (is_member and hasattr(sys.modules.get(parent), member)):  # from PARENT import MEMBER works
            detail = traceback.format_exc() or "no reason was given"
    with open(batch["results"], "a") as file:
        file.write(json.dumps([name, detail]) + "\\n")
"""
BATCH_TIME_LIMIT = 90


def import_batch(request: Request, records: Any, probe: Any, batch: Mapping[str, Any], service: str) -> None:
    """Import modules one after the other in one process; a module with which it ends, or waits, is recorded as such.

    After one with which the process ends, the others are tried in a new one; after one that waits they have no record.
    """
    remaining = list(batch["modules"])
    folder = os.path.normpath(os.path.join(service, batch["folder"]))
    while remaining and os.path.isdir(folder):
        done, has_ended = _import_in_one_process(request, {**batch, "modules": remaining}, folder)
        for name, detail in done.items():
            records.add("import", module=name, folder=batch["folder"], ok=not detail, detail=probe.tail(detail))
        unreached = [name for name in remaining if name not in done]
        if unreached and not has_ended:
            records.add("import_unfinished", module=unreached[0], folder=batch["folder"], seconds=BATCH_TIME_LIMIT)
            return
        if unreached:
            detail = "the process that imports it ended early"
            records.add("import", module=unreached[0], folder=batch["folder"], ok=False, detail=detail)
        remaining = unreached[1:]


def _import_in_one_process(request: Request, batch: Mapping[str, Any], folder: str) -> tuple[dict[str, str], bool]:
    """Return why the modules that were reached could not be imported, empty if they could, and whether it has ended."""
    import subprocess

    place = os.path.join(request["scratch"], "batch.json")
    results = os.path.join(request["scratch"], "batch.jsonl")
    with open(place, "w") as file:
        json.dump({"before": batch["before"], "modules": batch["modules"], "results": results}, file)
    with open(results, "w"):
        pass
    site = ["-S"] if request.get("without_pth") else []
    has_ended = True
    try:
        subprocess.run(
            [sys.executable, *site, "-c", BATCH_SCRIPT, place, *folders_without_site()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            cwd=folder,
            timeout=BATCH_TIME_LIMIT,
        )
    except subprocess.TimeoutExpired:
        has_ended = False
    done: dict[str, str] = {}
    with open(results) as file:
        for line in file:
            with suppress(ValueError, TypeError):
                name, detail = json.loads(line)
                done[str(name)] = str(detail)
    return done, has_ended


# ---- what the service is started with


def run_start(request: Request, records: Any, probe: Any) -> int:
    """Import each module that the service is started with, in a fresh process; one that fails, twice."""
    import subprocess

    service = probe.copy_source(request)
    probe.prepare_paths(request, service)
    if not probe.run_prepare(request, records, service):
        return 1
    for batch in request.get("batches", []):
        import_batch(request, records, probe, batch, service)
    without_pth = bool(request.get("without_pth"))
    for module in request["modules"]:
        name, folder = module["name"], os.path.normpath(os.path.join(service, module["folder"]))
        kind = module["kind"]
        try:
            ok, detail = import_alone(probe, name, kind, without_pth=without_pth, folder=folder)
            if not ok:
                ok, detail = import_alone(probe, name, kind, without_pth=without_pth, folder=folder)
        except subprocess.TimeoutExpired:  # such as one that waits for a database
            records.add("import_unfinished", module=name, seconds=IMPORT_TIME_LIMIT)
            continue
        records.add("import", module=name, ok=ok, detail=detail)
    return 0
