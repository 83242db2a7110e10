"""Find the modules that a service imports only once it runs: in functions, and by names in strings and settings.

``Celery(include=["app.tasks"])``, ``ROOT_URLCONF = "site.urls"``, an entry point in ``pyproject.toml``: neither the
start of the service nor its code shows whether such a module can be imported. A script that nothing imports is none: it
may do anything when it is imported. So is a module that only a string names, unless it seems to do nothing by itself.
"""

import ast
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_py312.analysis.files.file_kinds import is_runtime_file, is_test
from pytest_py312.analysis.libraries.service_imports import imported_files, member_name
from pytest_py312.analysis.linking.link import ModuleIndex
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ModuleImport
from pytest_py312.analysis.scanner.facts.stdlib_names import is_stdlib_module
from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import Service, StartModule
from pytest_py312.core.python_syntax import parse_python

MODULE_LIMIT = 500
"""Maximum number of modules of one service that are tried."""
PARTS_LIMIT = 20
"""Maximum number of parts of a dotted name that are looked at."""
SETTINGS_SUFFIXES = (".toml", ".cfg", ".ini", ".json", ".yaml", ".yml", ".conf")
"""Ends of the names of files in which modules are named."""

_DOTTED = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+"
_STRING = re.compile(rf"(?<!getLogger\()[\"']({_DOTTED})(?=[\"':])", re.ASCII)
_WORD = re.compile(rf"(?<![\w./-])({_DOTTED})(?![\w(/-])", re.ASCII)
_PROGRAM = re.compile(rf"-m[\"',\s\[\]-]{{1,80}}({_DOTTED})", re.ASCII)
"""A program, whose module does its work when it is imported: ``[python, -m, app.purge]``."""
_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))[#;][^\n]*")
_COMPUTED = re.compile(r"\b(?:iter_modules|walk_packages)\(|\b(?:import_module|__import__)\((?![\"'])")
"""Imports of names that are computed: of modules in the package around, as far as one can tell."""
_BUILD_FILES = frozenset({"setup.py", "conftest.py", "noxfile.py", "fabfile.py"})
_DOING = frozenset(
    {"Popen", "call", "check_call", "check_output", "commit", "connect", "delete", "execute", "main", "post", "put",
     "remove", "rmtree", "run", "run_until_complete", "send", "serve", "serve_forever", "start", "system", "unlink",
     "urlopen"}
)  # fmt: skip
"""Names of functions that do something outside of the process."""


def later_imports(
    files: Sequence[FileFacts], contents: Mapping[str, bytes], settings: Mapping[str, str], service: Service
) -> tuple[StartModule, ...]:
    """Return the modules of a service that others import, anywhere, or that are named, and what its functions import.

    :param files: the facts of its Python files; ``contents`` has their content by path.
    :param settings: the texts of its files with settings.
    """
    texts = {facts.path: contents.get(facts.path, b"").decode("utf-8", "replace") for facts in files}
    index = ModuleIndex(files)
    running = _running(files, index, service)
    paths = {facts.path for facts in files}
    candidates = [path for path in texts if path.endswith(".py") and _may_be_imported(path, service)]
    modules = {path: _own_module(path, paths, service) for path in candidates}
    by_name = {module.name: path for path, module in modules.items() if "." in module.name}
    imported = {path for facts in running.values() for path in _imported_files(facts, index)}
    named = {by_name[name] for name in _named([texts[path] for path in running], settings) if name in by_name}
    named |= set(_computed(texts, running))
    used = imported | {path for path in named if _only_defines(contents.get(path, b""))}
    own = [modules[path] for path in sorted(used & modules.keys()) if not path.endswith("/__main__.py")]
    started = {(module.name, module.folder) for module in service.start_modules}
    external: dict[str, Location] = {}
    for path in sorted(running):
        for name, location in _external(running[path], index):
            external.setdefault(name, location)
    others = [StartModule(name=name, is_own=False, imported_at=location) for name, location in sorted(external.items())]
    return tuple(module for module in (*own, *others) if (module.name, module.folder) not in started)[:MODULE_LIMIT]


def _running(files: Sequence[FileFacts], index: ModuleIndex, service: Service) -> dict[str, FileFacts]:
    """Return the files of the service that run in production, and those outside of it that they import."""
    by_path = {facts.path: facts for facts in files}
    prefix = "" if service.path == "." else f"{service.path}/"
    own = [facts for facts in files if facts.path.startswith(prefix) and is_runtime_file(facts.path, service.path)]
    running = {facts.path: facts for facts in own}
    while own:
        imported = {path for facts in own for path in _imported_files(facts, index) if not path.startswith(prefix)}
        own = [by_path[path] for path in sorted(imported - running.keys())]
        running |= {facts.path: facts for facts in own}
    return running


def files_of_module(module: StartModule) -> frozenset[str]:
    """Return the files, relative to the service, of which one is the module."""
    path = posixpath.normpath(posixpath.join(module.folder, module.name.replace(".", "/")))
    return frozenset((f"{path}.py", f"{path}/__init__.py"))


def _may_be_imported(path: str, service: Service) -> bool:
    """Return whether a file may be a module of production, if something imports it: also ``tasks.py`` of Celery."""
    return not is_test(path.removeprefix(f"{service.path}/")) and posixpath.basename(path) not in _BUILD_FILES


def _only_defines(content: bytes) -> bool:
    """Return whether a module seems to do nothing by itself: it imports, defines and assigns, and calls little."""
    tree = parse_python(content)
    return tree is not None and all(map(_is_definition, tree.body))


def _is_definition(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Pass):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):  # what is under ``if __name__ == "__main__"`` does not run
        is_main = any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test))
        return is_main or all(map(_is_definition, (*node.body, *node.orelse)))
    if isinstance(node, ast.Try):
        handled = (statement for handler in node.handlers for statement in handler.body)
        return all(map(_is_definition, (*node.body, *handled, *node.orelse, *node.finalbody)))
    if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return False
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
    return names.isdisjoint(_DOING)


def _own_module(path: str, files: set[str], service: Service) -> StartModule:
    """Return a file as a module of a folder on the path, or of the folder around its outermost package."""
    stem = path.removesuffix(".py").removesuffix("/__init__")
    added = ("src", *service.python_path, *service.appended_path, *(module.folder for module in service.start_modules))
    roots = {posixpath.normpath(posixpath.join(service.path, root)) for root in added} - {service.path, "."}
    folder = max((root for root in roots if stem.startswith(f"{root}/")), key=len, default="")
    if not folder:
        package = folder = posixpath.dirname(stem)
        while folder not in ("", service.path) and f"{folder}/__init__.py" in files:
            folder = posixpath.dirname(folder)
        is_inside = service.path == "." or stem.startswith(f"{service.path}/")
        if folder == package and is_inside:  # no package: a folder of the one around it
            folder = service.path
    name = stem if folder in ("", ".") else stem.removeprefix(f"{folder}/")
    return StartModule(name=name.replace("/", "."), folder=posixpath.relpath(folder or ".", service.path))


def _imported_files(facts: FileFacts, index: ModuleIndex) -> Iterator[str]:
    """Yield the files that a file imports, as far as it always does so where it comes to the import."""
    return imported_files(facts, filter(_is_certain, facts.imports), index)


def _is_certain(module_import: ModuleImport) -> bool:
    """Return whether an import is under no condition, and in no ``try``; one for a type checker is under one."""
    return module_import.guard <= 0 and module_import.scope != "type checking"


def _external(facts: FileFacts, index: ModuleIndex) -> Iterator[tuple[str, Location]]:
    """Yield what the functions of a file import of other projects, with places; ``from a import b`` may be ``a.b``."""
    for module_import in filter(_is_certain, facts.imports):
        top = module_import.module.partition(".")[0]
        is_own = module_import.level or not top or index.find(top, facts.path) is not None
        if module_import.scope == "function" and not is_own and not is_stdlib_module(top):
            location = Location(path=facts.path, line=module_import.line)
            yield module_import.module, location
            yield member_name(module_import.module, module_import.name), location


def _named(texts: Sequence[str], settings: Mapping[str, str]) -> set[str]:
    """Return the dotted names in strings and settings, with all that they begin with, but no programs."""
    names: set[str] = set()
    programs: set[str] = set()
    for pattern, text in [*((_STRING, text) for text in texts), *((_WORD, text) for text in settings.values())]:
        plain = _COMMENT.sub(" ", text) if pattern is _WORD else text
        programs.update(_PROGRAM.findall(plain))
        for name in set(pattern.findall(plain)):
            parts = name.split(".", PARTS_LIMIT)[:PARTS_LIMIT]
            names.update(".".join(parts[:count]) for count in range(2, len(parts) + 1))
    return names - programs


def _computed(texts: Mapping[str, str], running: Mapping[str, FileFacts]) -> Iterator[str]:
    """Yield the files in the package of a file that imports names which it computes, but not from the version."""
    for path in running:
        text = _COMMENT.sub(" ", texts[path]) if "import" in texts[path] else ""
        if _COMPUTED.search(text) and "version_info" not in text:
            folder = posixpath.dirname(path)
            if f"{folder}/__init__.py" in running:
                yield from (other for other in running if other.startswith(f"{folder}/") and other != path)
