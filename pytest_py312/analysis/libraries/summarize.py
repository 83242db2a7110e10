"""From the facts of a distribution's files and what an interpreter answers to the distribution's digest. Pure."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pytest_py312.analysis.judging.rule_table import RULES
from pytest_py312.analysis.libraries.import_context import TOP, how_run, surroundings_of, tree_of
from pytest_py312.analysis.libraries.import_graph import prefixes
from pytest_py312.analysis.libraries.module_files import ModuleFile
from pytest_py312.analysis.libraries.setuptools_state import WITH_SETUPTOOLS
from pytest_py312.analysis.libraries.summary import Digest, How, Module, Place
from pytest_py312.analysis.scanner.facts.facts import FileFacts, Kind, LooseMethod, ModuleImport, Reference, RuleFact
from pytest_py312.analysis.scanner.facts.stdlib_names import LIKELY_METHODS, is_standard
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Question, Testimony
from pytest_py312.core.model.findings import Severity

_NO_ANSWER = Answer(present=None)


def digest_of(
    files: Sequence[tuple[ModuleFile, FileFacts, bytes]],
    compiled: Sequence[str],
    unscanned: Sequence[ModuleFile],
    testimony: Testimony,
    unread: int = 0,
) -> Digest:
    """The digest of a distribution. ``unscanned`` are modules of it that are known by name alone."""
    own = {file.name for file, _, _ in files} | {file.name for file in unscanned} | set(compiled)
    defined = frozenset(name for _, facts, _ in files for name in facts.defined)
    judge = _Suspicion(testimony, defined)
    modules = []
    for file, facts, content in files:
        suspects = judge.suspects(facts)
        modules.append(
            Module(
                name=file.name,
                path=file.path,
                part=file.part,
                imports=imports_of(file, facts, own, testimony.version),
                suspects=suspects,
                called=called_places(content, _places(suspects)) if suspects is not None else frozenset(),
                packaging=tuple(_packaging(facts, content, testimony.version)),
            )
        )
    modules += [Module(name=file.name, path=file.path, part=file.part) for file in unscanned]
    return Digest(modules=tuple(modules), compiled=tuple(compiled), unread=unread)


# ---- imports


def imports_of(
    file: ModuleFile, facts: FileFacts, own: frozenset[str] | set[str], version: tuple[int, int]
) -> dict[str, int]:
    """What a module imports besides the standard library: dotted names with the surest :class:`How` of each."""
    is_package = file.path.endswith("/__init__.py")
    found: dict[str, int] = {}
    for one in facts.imports:
        name = absolute(one, file.name, is_package)
        if not name or (not one.level and is_standard(one.module)) or one.place == "type checking":
            continue
        how = how_run(one, facts.guards, version)
        if how is None:
            continue
        name = _shortest(name, own)
        found[name] = max(how, found.get(name, How.WHEN_CALLED))
    found.pop(file.name, None)
    return found


def absolute(one: ModuleImport, module: str, is_package: bool) -> str:
    """The dotted name that an import names, with what a ``from`` import takes of it; empty where it names nothing."""
    base = one.module
    if one.level:
        steps = module.split(".")
        above = one.level - (1 if is_package else 0)
        if above >= len(steps) + (1 if is_package else 0):
            return ""
        package = ".".join(steps[: len(steps) - above])
        base = ".".join(part for part in (package, one.module) if part)
    return f"{base}.{one.name}" if one.name and one.name != "*" and base else base


def _shortest(name: str, own: frozenset[str] | set[str]) -> str:
    """A name of this distribution as that of its module; a foreign one without the class that is taken of it."""
    module = next((step for step in reversed(prefixes(name)) if step in own), "")
    above, _, last = name.rpartition(".")
    return module or (above if above and not last.islower() else name)


def _packaging(facts: FileFacts, content: bytes, version: tuple[int, int]) -> Iterator[tuple[str, int, int]]:
    """Imports of setuptools and its kin that do harm where they are not there."""
    found: dict[tuple[str, int], int] = {}
    for one in facts.imports:
        top = one.module.partition(".")[0]
        how = how_run(one, facts.guards, version) if top in WITH_SETUPTOOLS and not one.level else None
        if how is not None and one.place != "type checking" and not _is_caught(one, facts):
            found[one.module, one.line] = how
    around = surroundings_of(content) if found else {}
    for (module, line), how in found.items():
        here = around.get(line, TOP)
        if any(module.partition(".")[0] in test for test in here.tests):
            continue  # "pkg_resources" in sys.modules
        yield module, line, min(how, How.PERHAPS) if here.conditional else how


def _is_caught(one: ModuleImport, facts: FileFacts) -> bool:
    """Whether it does no harm that the module is not there."""
    number = one.guard
    while number > 0:
        guard = facts.guards[number]
        if not {"", "BaseException", "Exception", "ImportError", "ModuleNotFoundError"}.isdisjoint(guard.caught):
            return True
        number = guard.parent
    return False


# ---- what the interpreter may have something against


class _Suspicion:
    """Leaves of a file's facts only what an interpreter may have something against."""

    def __init__(self, testimony: Testimony, defined: frozenset[str]) -> None:
        self._testimony = testimony
        self._defined = defined

    def suspects(self, facts: FileFacts) -> FileFacts | None:
        references = tuple(one for one in facts.references if self._is_suspect(one))
        rules = tuple(one for one in facts.rules if self._breaks(one))
        loose = tuple(one for one in facts.loose if self._is_gone_everywhere(one))
        if not (references or rules or loose):
            return None
        return replace(
            facts,
            references=references,
            rules=rules,
            loose=loose,
            # these tell which modules a likely method may be of
            imports=tuple(one for one in facts.imports if is_standard(one.module)) if loose else (),
            inherited=(),
            classes=(),
            ignores=(),
            defined=tuple(one.name for one in loose if one.name in self._defined),
        )

    def _answer(self, module: str, path: str = "") -> Answer:
        return self._testimony.answers.get(Question(module=module, path=path), _NO_ANSWER)

    def _is_suspect(self, one: Reference) -> bool:
        if one.module.partition(".")[0] == "distutils":
            return False  # a question of setuptools
        steps = one.path.split(".") if one.path else []
        whole = self._answer(one.module, one.path)
        if whole.present is False or self._answer(one.module).present is False:
            return True
        if any(self._answer(one.module, ".".join(steps[:count])).present is False for count in range(1, len(steps))):
            return True
        if one.kind == Kind.STAR and one.path:
            members = self._answer(one.module).members
            return members is not None and one.path not in members
        return one.call is not None and _refuses(one, whole)

    def _breaks(self, fact: RuleFact) -> bool:
        meaning = RULES.get(fact.rule)
        phases = [phase for phase in meaning.phases if phase.since <= self._testimony.version] if meaning else []
        return bool(phases) and phases[-1].severity is Severity.ERROR

    def _is_gone_everywhere(self, method: LooseMethod) -> bool:
        if method.name in self._defined:
            return False
        return any(self._answer(asked.module, asked.path).present is False for asked in LIKELY_METHODS[method.name])


def _refuses(one: Reference, answer: Answer) -> bool:
    signature, call = answer.signature, one.call
    if signature is None or call is None:
        return False
    unknown = [name for name in call.keywords if name not in signature.keywords]
    too_many = call.positional > len(signature.positional) and not signature.any_positional
    return (bool(unknown) and not signature.any_keyword) or too_many


# ---- places


def _places(facts: FileFacts) -> set[Place]:
    kinds: Iterable[Sequence[Any]] = (facts.references, facts.rules, facts.loose)
    return {(one.line, one.column) for kind in kinds for one in kind}


def called_places(content: bytes, places: Iterable[Place]) -> frozenset[Place]:
    """Those of ``places`` that lie in the body of a function, which importing the file does not run."""
    tree = tree_of(content)
    bodies = list(_bodies(tree)) if tree is not None else []
    return frozenset(place for place in places if any(start <= place <= end for start, end in bodies))


def _bodies(tree: ast.AST) -> Iterator[tuple[Place, Place]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first, last = node.body[0], node.body[-1]
        elif isinstance(node, ast.Lambda):
            first = last = node.body  # type: ignore[assignment]  # an expression has a place as well
        else:
            continue
        yield (first.lineno, first.col_offset + 1), (last.end_lineno or first.lineno, (last.end_col_offset or 0) + 1)


def questions_of(facts: Iterable[FileFacts]) -> frozenset[Question]:
    """All that the interpreter has to be asked for digests of ``facts``."""
    return frozenset(asked for one in facts for asked in one.questions())
