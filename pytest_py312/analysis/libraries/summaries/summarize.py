"""Summarize a distribution from the facts of its files and the answers of an interpreter."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from pytest_py312.analysis.judging.evidence import NO_ANSWER
from pytest_py312.analysis.judging.rule_table import RULES
from pytest_py312.analysis.libraries.summaries.import_context import (
    TOP_LEVEL,
    import_contexts,
    import_likelihood,
)
from pytest_py312.analysis.libraries.summaries.module_files import ModuleFile, prefixes
from pytest_py312.analysis.libraries.summaries.summary import (
    SETUPTOOLS_DEPENDENT_MODULES,
    DistributionSummary,
    Likelihood,
    ModuleSummary,
    Position,
)
from pytest_py312.analysis.scanner.facts.facts import (
    IMPORT_ERRORS,
    FileFacts,
    ModuleImport,
    Reference,
    ReferenceKind,
    RuleMatch,
    UntypedMethodUse,
    is_caught,
)
from pytest_py312.analysis.scanner.facts.stdlib_names import DISTINCTIVE_METHODS, is_stdlib_module
from pytest_py312.analysis.scanner.facts.stdlib_queries import InterpreterAnswers, StdlibAnswer, StdlibQuery
from pytest_py312.core.model.findings import Severity
from pytest_py312.core.python_syntax import parse_python


def summarize(
    files: Sequence[tuple[ModuleFile, FileFacts, bytes]],
    compiled: Sequence[str],
    unscanned: Sequence[ModuleFile],
    interpreter_answers: InterpreterAnswers,
    unread: int = 0,
) -> DistributionSummary:
    """Return the summary of a distribution.

    :param unscanned: modules of which only the names are known.
    """
    own_names = {file.name for file, _, _ in files} | {file.name for file in unscanned} | set(compiled)
    defined = frozenset(name for _, facts, _ in files for name in facts.defined_names)
    suspect_filter = _SuspectFilter(interpreter_answers, defined)
    modules = []
    for file, facts, content in files:
        suspect_facts = suspect_filter.suspect_facts(facts)
        modules.append(
            ModuleSummary(
                name=file.name,
                path=file.path,
                kind=file.kind,
                imports=module_imports(file, facts, own_names, interpreter_answers.version),
                suspect_facts=suspect_facts,
                called_positions=positions_in_functions(content, _fact_positions(suspect_facts))
                if suspect_facts is not None
                else frozenset(),
                setuptools_imports=tuple(_setuptools_imports(facts, content, interpreter_answers.version)),
            )
        )
    modules += [ModuleSummary(name=file.name, path=file.path, kind=file.kind) for file in unscanned]
    return DistributionSummary(modules=tuple(modules), compiled=tuple(compiled), unread=unread)


# ---- imports


def module_imports(
    file: ModuleFile, facts: FileFacts, own_names: frozenset[str] | set[str], version: tuple[int, int]
) -> dict[str, int]:
    """Return the dotted names that a module imports, with the highest :class:`Likelihood` of each.

    Standard library modules are omitted.
    """
    is_package = file.path.endswith("/__init__.py")
    likelihoods: dict[str, int] = {}
    for module_import in facts.imports:
        name = absolute_name(module_import, file.name, is_package)
        if (
            not name
            or (not module_import.level and is_stdlib_module(module_import.module))
            or module_import.scope == "type checking"
        ):
            continue
        likelihood = import_likelihood(module_import, facts.guards, version)
        if likelihood is None:
            continue
        name = _importable_name(name, own_names)
        likelihoods[name] = max(likelihood, likelihoods.get(name, Likelihood.WHEN_CALLED))
    likelihoods.pop(file.name, None)
    return likelihoods


def absolute_name(module_import: ModuleImport, module: str, is_package: bool) -> str:
    """Return the absolute dotted name that an import refers to, including the member that a ``from`` import takes.

    The result is empty if a relative import leads out of the package.
    """
    base = module_import.module
    if module_import.level:
        steps = module.split(".")
        levels_up = module_import.level - (1 if is_package else 0)
        if levels_up >= len(steps) + (1 if is_package else 0):
            return ""
        package = ".".join(steps[: len(steps) - levels_up])
        base = ".".join(part for part in (package, module_import.module) if part)
    return f"{base}.{module_import.name}" if module_import.name and module_import.name != "*" and base else base


def _importable_name(name: str, own_names: frozenset[str] | set[str]) -> str:
    """Reduce a name to that of a module: exactly for own modules, for others by omitting a class name."""
    module = next((step for step in reversed(prefixes(name)) if step in own_names), "")
    parent, _, last = name.rpartition(".")
    return module or (parent if parent and not last.islower() else name)


def _setuptools_imports(facts: FileFacts, content: bytes, version: tuple[int, int]) -> Iterator[tuple[str, int, int]]:
    """Yield the imports of setuptools modules that fail if setuptools is not installed."""
    likelihoods: dict[tuple[str, int], int] = {}
    for module_import in facts.imports:
        top = module_import.module.partition(".")[0]
        likelihood = (
            import_likelihood(module_import, facts.guards, version)
            if top in SETUPTOOLS_DEPENDENT_MODULES and not module_import.level
            else None
        )
        if likelihood is None or module_import.scope == "type checking":
            continue
        if not is_caught(facts.guards, module_import.guard, IMPORT_ERRORS):
            likelihoods[module_import.module, module_import.line] = likelihood
    contexts = import_contexts(content) if likelihoods else {}
    for (module, line), likelihood in likelihoods.items():
        context = contexts.get(line, TOP_LEVEL)
        if any(module.partition(".")[0] in test for test in context.tests):
            continue  # "pkg_resources" in sys.modules
        yield module, line, min(likelihood, Likelihood.CONDITIONAL) if context.conditional else likelihood


# ---- what the interpreter may have something against


class _SuspectFilter:
    """Selection of the facts that may be a problem on an interpreter."""

    def __init__(self, interpreter_answers: InterpreterAnswers, defined: frozenset[str]) -> None:
        self._interpreter_answers = interpreter_answers
        self._defined = defined

    def suspect_facts(self, facts: FileFacts) -> FileFacts | None:
        references = tuple(fact for fact in facts.references if self._is_suspect(fact))
        rules = tuple(fact for fact in facts.rule_matches if self._fails(fact))
        loose = tuple(fact for fact in facts.untyped_methods if self._may_be_removed(fact))
        if not (references or rules or loose):
            return None
        return replace(
            facts,
            references=references,
            rule_matches=rules,
            untyped_methods=loose,
            # they determine to which modules an untyped method may belong
            imports=tuple(fact for fact in facts.imports if is_stdlib_module(fact.module)) if loose else (),
            inherited_attributes=(),
            classes=(),
            suppressions=(),
            defined_names=tuple(fact.name for fact in loose if fact.name in self._defined),
        )

    def _answer(self, module: str, path: str = "") -> StdlibAnswer:
        return self._interpreter_answers.answers.get(StdlibQuery(module=module, path=path), NO_ANSWER)

    def _is_suspect(self, reference: Reference) -> bool:
        if reference.module.partition(".")[0] == "distutils":
            return False  # depends on setuptools, see PY243
        steps = reference.path.split(".") if reference.path else []
        answer = self._answer(reference.module, reference.path)
        if answer.present is False or self._answer(reference.module).present is False:
            return True
        if any(
            self._answer(reference.module, ".".join(steps[:count])).present is False for count in range(1, len(steps))
        ):
            return True
        if reference.kind == ReferenceKind.STAR_IMPORT and reference.path:
            members = self._answer(reference.module).members
            return members is not None and reference.path not in members
        return reference.call is not None and _refuses_call(reference, answer)

    def _fails(self, fact: RuleMatch) -> bool:
        rule = RULES.get(fact.rule)
        phases = [phase for phase in rule.phases if phase.since <= self._interpreter_answers.version] if rule else []
        return bool(phases) and phases[-1].severity is Severity.ERROR

    def _may_be_removed(self, method: UntypedMethodUse) -> bool:
        if method.name in self._defined:
            return False
        return any(
            self._answer(query.module, query.path).present is False for query in DISTINCTIVE_METHODS[method.name]
        )


def _refuses_call(reference: Reference, answer: StdlibAnswer) -> bool:
    signature, call = answer.signature, reference.call
    if signature is None or call is None:
        return False
    unknown = [name for name in call.keywords if name not in signature.keywords]
    too_many = call.positional > len(signature.positional) and not signature.any_positional
    return (bool(unknown) and not signature.any_keyword) or too_many


# ---- places


def _fact_positions(facts: FileFacts) -> set[Position]:
    kinds: Iterable[Sequence[Any]] = (facts.references, facts.rule_matches, facts.untyped_methods)
    return {(fact.line, fact.column) for kind in kinds for fact in kind}


def positions_in_functions(content: bytes, positions: Iterable[Position]) -> frozenset[Position]:
    """Return the positions inside of function bodies, which importing the file does not run."""
    tree = parse_python(content)
    bodies = list(_function_bodies(tree)) if tree is not None else []
    return frozenset(position for position in positions if any(start <= position <= end for start, end in bodies))


def _function_bodies(tree: ast.AST) -> Iterator[tuple[Position, Position]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first, last = node.body[0], node.body[-1]
        elif isinstance(node, ast.Lambda):
            first = last = node.body  # type: ignore[assignment]  # an expression has a place as well
        else:
            continue
        yield (first.lineno, first.col_offset + 1), (last.end_lineno or first.lineno, (last.end_col_offset or 0) + 1)


def queries_of(facts: Iterable[FileFacts]) -> frozenset[StdlibQuery]:
    """Return everything that an interpreter has to be asked to summarize ``facts``."""
    return frozenset(query for file_facts in facts for query in file_facts.queries())
