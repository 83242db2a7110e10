"""Rules for the starts of processes and threads that depend on what else a file does."""

import ast
from collections.abc import Iterator, Mapping, Sequence

from pytest_py312.analysis.scanner.evaluation.names import last_name, stdlib_name
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from pytest_py312.analysis.scanner.evaluation.values import Arguments, Value

PROCESS_STARTS = (
    "os.fork", "os.forkpty", "pty.fork",
    "multiprocessing.Process", "multiprocessing.Pool", "concurrent.futures.ProcessPoolExecutor",
)  # fmt: skip


def report_process_starts(scan: ScanState) -> None:
    """Match the starts of processes that depend on what else a file does, once the whole file has been read."""
    names = {reference.path.rpartition(".")[2] for reference in scan.references}
    has_threads = not names.isdisjoint({"Thread", "Timer", "ThreadPoolExecutor", "ThreadPool"})
    chooses_start_method = not names.isdisjoint({"set_start_method", "get_context"})
    for node, name, guard in scan.process_starts:
        is_fork = name.endswith(("fork", "forkpty"))
        if has_threads if is_fork else not chooses_start_method:
            with scan.restored("guard"):
                scan.guard = guard
                scan.add_rule_match("fork-with-threads" if is_fork else "start-method", node, name, sure=False)


def note_process_start(scan: ScanState, node: ast.Call, value: Value, arguments: Arguments) -> None:
    has_context = "mp_context" in arguments.keywords or (value.module == "concurrent.futures" and len(arguments) > 1)
    if not has_context:
        scan.process_starts.append((node, stdlib_name(value), scan.guard))


def report_threads_at_exit(scan: ScanState, tree: ast.Module) -> None:
    """Match functions that ``atexit`` calls and that start a thread themselves.

    "Changed in version 3.12: Attempts to start a new thread [...] in a registered function now leads to RuntimeError."
    (https://docs.python.org/3.12/library/atexit.html#atexit.register)
    """
    if not any(module_import.module == "threading" for module_import in scan.imports):
        return
    functions: dict[str, list[ast.FunctionDef]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            functions.setdefault(node.name, []).append(node)
    for name in sorted(_names_at_exit(tree, functions)):
        start = next(_thread_starts(functions[name][0]), None)
        if start is not None and len(functions[name]) == 1:  # methods of several classes may have the same name
            scan.add_rule_match("thread-at-exit", start, name, sure=False)


def _names_at_exit(tree: ast.Module, functions: Mapping[str, Sequence[ast.FunctionDef]]) -> set[str]:
    """Return the names of the functions that are registered by a call or as decorator."""
    decorated = {
        name
        for name, of_name in functions.items()
        if any(ast.unparse(decorator) == "atexit.register" for decorator in of_name[0].decorator_list)
    }
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args)
    called = {last_name(call.args[0]) for call in calls if ast.unparse(call.func) == "atexit.register"}
    return decorated | (called & functions.keys())


def _thread_starts(function: ast.FunctionDef) -> Iterator[ast.Call]:
    """Yield the calls of ``start`` of threads that the function makes: ``Thread(...).start()``, ``thread.start()``."""
    nodes = list(ast.walk(function))
    threads = {
        ast.unparse(target)
        for node in nodes
        if isinstance(node, ast.Assign) and _is_thread(node.value)
        for target in node.targets
    }
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "start":
            receiver = node.func.value
            if _is_thread(receiver) or ast.unparse(receiver) in threads:
                yield node


def _is_thread(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and last_name(node.func) in ("Thread", "Timer")
