"""Estimate how likely an import runs from the code around it.

Guards in the facts contain only conditions that the scanner understands; the remaining ones are read from the syntax
tree. No interpreter is queried: conditions are evaluated for a version alone.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.analysis.judging.reachability import combine, evaluate_version_test
from pytest_py312.analysis.libraries.summaries.summary import Likelihood
from pytest_py312.analysis.scanner.facts.facts import Condition, FileFacts, Guard, ModuleImport, enclosing_guards
from pytest_py312.core.python_syntax import parse_python


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportContext:
    """The code around an import.

    ``tests`` are the texts of the enclosing conditions. ``conditional`` is true if the import does not always run: in a
    function, a handler, a loop, or under a condition on something other than the version or type checking.
    """

    tests: tuple[str, ...] = ()
    conditional: bool = False


TOP_LEVEL = ImportContext()
_ANSWERED_NAMES = ("version_info", "TYPE_CHECKING")
"""Names in conditions that the scanner has already evaluated."""


def import_contexts(content: bytes) -> Mapping[int, ImportContext]:
    """Return the context of each line of an import statement; empty if the file cannot be parsed."""
    tree = parse_python(content)
    if tree is None:
        return {}
    contexts: dict[int, ImportContext] = {}
    pending: list[tuple[ast.AST, ImportContext]] = [(tree, TOP_LEVEL)]
    while pending:
        node, context = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            contexts |= dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), context)
            continue
        pending += list(_child_statements(node, context))
    return contexts


def _child_statements(node: ast.AST, context: ImportContext) -> Iterator[tuple[ast.AST, ImportContext]]:
    """Yield the statements directly inside of a node, with their contexts."""
    child_context = context
    if isinstance(node, ast.If | ast.While):
        text = _unparse(node.test)
        is_answered = isinstance(node, ast.If) and any(word in text for word in _ANSWERED_NAMES)
        child_context = ImportContext(tests=(*context.tests, text), conditional=context.conditional or not is_answered)
    elif isinstance(
        node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ExceptHandler | ast.For | ast.AsyncFor | ast.match_case
    ):
        child_context = ImportContext(tests=context.tests, conditional=True)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield child, child_context


def _unparse(test: ast.expr) -> str:
    try:
        return ast.unparse(test)
    except RecursionError:
        return ""  # too deeply nested for unparse: treat the condition as unknown


def import_likelihood(module_import: ModuleImport, guards: Sequence[Guard], version: tuple[int, int]) -> int | None:
    """Return how likely an import runs on ``version`` (:class:`Likelihood`); ``None`` if it does not."""
    likelihood = Likelihood.WHEN_CALLED if module_import.scope == "function" else Likelihood.AT_IMPORT
    for guard in enclosing_guards(guards, module_import.guard):
        holds = evaluate_condition(guard.condition, version) if guard.condition else True
        if holds is False:
            return None
        if holds is None or guard.caught:
            likelihood = min(likelihood, Likelihood.CONDITIONAL)
    return likelihood


def likely_imports(
    imports: Iterable[ModuleImport], facts: FileFacts, content: bytes, version: tuple[int, int]
) -> Iterator[tuple[ModuleImport, int]]:
    """Yield those of the ``imports`` of a file that may run on ``version``, each with its likelihood.

    The file is parsed only if one of them runs in any case as far as its facts show.
    """
    contexts: Mapping[int, ImportContext] | None = None
    for module_import in imports:
        likelihood = import_likelihood(module_import, facts.guards, version)
        if likelihood is None or module_import.scope == "type checking":
            continue
        if likelihood == Likelihood.AT_IMPORT:
            contexts = import_contexts(content) if contexts is None else contexts
            if contexts.get(module_import.line, TOP_LEVEL).conditional:
                likelihood = Likelihood.CONDITIONAL
        yield module_import, likelihood


def evaluate_condition(condition: Condition, version: tuple[int, int]) -> bool | None:
    """Return whether a condition holds on ``version``; ``None`` if it depends on more than the version."""
    if condition[0] == "version":
        return evaluate_version_test(version, condition[1], condition[2], condition[3])
    return combine(condition, lambda part: evaluate_condition(part, version))
