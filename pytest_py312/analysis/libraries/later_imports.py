"""Find the modules that a service imports only once it runs: in functions, and by names in strings and settings.

``Celery(include=["app.tasks"])``, ``ROOT_URLCONF = "site.urls"``, an entry point in ``pyproject.toml``: neither the
start of the service nor its code shows whether such a module can be imported. A script that nothing imports is none: it
may do anything when it is imported.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_py312.analysis.files.file_kinds import is_runtime_file
from pytest_py312.analysis.linking.link import ModuleIndex
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ModuleImport
from pytest_py312.analysis.scanner.facts.stdlib_names import is_stdlib_module
from pytest_py312.core.model.fleet import Service, StartModule

MODULE_LIMIT = 500
"""Maximum number of modules of one service that are tried."""
SETTINGS_SUFFIXES = (".toml", ".cfg", ".ini", ".json", ".yaml", ".yml", ".conf")
"""Ends of the names of files in which modules are named."""

_DOTTED = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+"
_STRING = re.compile(rf"[\"']({_DOTTED})(?=[\"':])", re.ASCII)
_WORD = re.compile(rf"(?<![\w./-])({_DOTTED})(?![\w(/-])", re.ASCII)
_PROGRAM = re.compile(rf"-m[\"',\s]+{_DOTTED}", re.ASCII)
_COMPUTED = re.compile(r"\b(?:iter_modules|walk_packages)\(|\b(?:import_module|__import__)\((?![\"'])")
"""Imports of names that are computed: of modules in the package around, as far as one can tell."""


def later_imports(
    files: Sequence[FileFacts], contents: Mapping[str, bytes], settings: Mapping[str, str], service: Service
) -> tuple[StartModule, ...]:
    """Return the modules of a service that others import, anywhere, or that are named, and what its functions import.

    :param files: the facts of its Python files; ``contents`` has their content by path.
    :param settings: the texts of its files with settings.
    """
    running = {facts.path: facts for facts in files if is_runtime_file(facts.path, service.path)}
    index = ModuleIndex(files)
    modules = {path: _own_module(path, running, service) for path in running if path.endswith(".py")}
    by_name = {module.name: path for path, module in modules.items() if "." in module.name}
    used = {path for facts in running.values() for path in _imported_files(facts, index)}
    used |= {by_name[name] for name in _named(contents, settings, running) if name in by_name}
    used |= set(_computed(contents, running))
    own = [modules[path] for path in sorted(used & modules.keys()) if not path.endswith("/__main__.py")]
    started = {(module.name, module.folder) for module in service.start_modules}
    external = dict.fromkeys(name for facts in running.values() for name in _external(facts, index))
    others = [StartModule(name=name, is_own=False) for name in sorted(external)]
    return tuple(module for module in (*own, *others) if (module.name, module.folder) not in started)[:MODULE_LIMIT]


def files_of_module(module: StartModule) -> frozenset[str]:
    """Return the files, relative to the service, of which one is the module."""
    path = posixpath.normpath(posixpath.join(module.folder, module.name.replace(".", "/")))
    return frozenset((f"{path}.py", f"{path}/__init__.py"))


def _own_module(path: str, files: Mapping[str, FileFacts], service: Service) -> StartModule:
    """Return a file as a module of a folder on the path, or of the folder around its outermost package."""
    relative = path if service.path == "." else path.removeprefix(f"{service.path}/")
    above = path.removesuffix(relative)
    stem = relative.removesuffix(".py").removesuffix("/__init__")
    roots = {"src", *service.python_path, *(module.folder for module in service.start_modules)}
    folder = max((root for root in roots if stem.startswith(f"{root}/")), key=len, default="")
    if not folder:
        package = folder = posixpath.dirname(stem)
        while f"{above}{folder}/__init__.py" in files:
            folder = posixpath.dirname(folder)
        folder = "" if folder == package else folder  # no package: a folder of the one around it
    name = stem.removeprefix(f"{folder}/") if folder else stem
    return StartModule(name=name.replace("/", "."), folder=folder or ".")


def _imported_files(facts: FileFacts, index: ModuleIndex) -> Iterator[str]:
    """Yield the files that a file imports, as far as it always does so where it comes to the import."""
    for module_import in filter(_is_certain, facts.imports):
        imported = "." * module_import.level + module_import.module
        member = f"{imported}{'' if imported.endswith('.') or not imported else '.'}{module_import.name}"
        for name in (member, imported):
            target = index.find(name, facts.path) if name.strip(".") or module_import.level else None
            if target is not None and target.path != facts.path:
                yield target.path


def _is_certain(module_import: ModuleImport) -> bool:
    """Return whether an import is under no condition, and in no ``try``; one for a type checker is under one."""
    return module_import.guard <= 0 and module_import.scope != "type checking"


def _external(facts: FileFacts, index: ModuleIndex) -> Iterator[str]:
    """Yield what the functions of a file import of other projects; ``from a import b`` may import ``a.b``."""
    for module_import in filter(_is_certain, facts.imports):
        top = module_import.module.partition(".")[0]
        is_own = module_import.level or not top or index.find(top, facts.path) is not None
        if module_import.scope == "function" and not is_own and not is_stdlib_module(top):
            yield module_import.module
            if module_import.name and module_import.name != "*":
                yield f"{module_import.module}.{module_import.name}"


def _named(
    contents: Mapping[str, bytes], settings: Mapping[str, str], running: Mapping[str, FileFacts]
) -> Iterator[str]:
    """Yield the dotted names in strings and settings, with all that they begin with; programs are started elsewhere."""
    texts = [(_STRING, contents.get(path, b"").decode("utf-8", "replace")) for path in running]
    texts += [(_WORD, _PROGRAM.sub(" ", text)) for text in settings.values()]
    for pattern, text in texts:
        for name in set(pattern.findall(text)):
            parts = name.split(".")
            yield from (".".join(parts[:count]) for count in range(2, len(parts) + 1))


def _computed(contents: Mapping[str, bytes], running: Mapping[str, FileFacts]) -> Iterator[str]:
    """Yield the files in the package of a file that imports names which it computes."""
    for path in running:
        if _COMPUTED.search(contents.get(path, b"").decode("utf-8", "replace")):
            folder = posixpath.dirname(path)
            if f"{folder}/__init__.py" in running:
                yield from (other for other in running if other.startswith(f"{folder}/") and other != path)
