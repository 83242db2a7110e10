"""Parse Python source that is only read."""

import ast
import warnings


def parse_python(content: str | bytes) -> ast.Module | None:
    """Return the syntax tree of a Python file; ``None`` if this interpreter cannot parse it.

    The compiler warns about the file and not about the gate: shown, its warnings would appear among those of pytest's
    run, and where warnings are errors, they would prevent parsing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
