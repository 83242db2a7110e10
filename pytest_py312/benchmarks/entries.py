"""Which module stands for a service's start: what its image runs, as far as it can be imported without starting it."""

import ast

from pytest_py312.model import Service
from pytest_py312.readers.dockerfile import read_dockerfile
from pytest_py312.service_images import entry_of, own_images, words_of
from pytest_py312.tree import Tree, join


def entry_module(tree: Tree, service: Service, files: tuple[str, ...]) -> str:
    """The module whose import is measured, such as ``app.main``; empty where nothing tells.

    ``files`` are the service's own. Of ``python -m package`` it is ``package.__main__`` where that starts nothing when
    it is imported, and else the package.
    """
    for image in own_images(tree, service, files):
        dockerfile = read_dockerfile(tree.text(image.dockerfile) or "", image.dockerfile)
        commands = [one for one in dockerfile.instructions if one.keyword in ("CMD", "ENTRYPOINT")]
        entry = entry_of(words_of(commands[-1].arguments)) if commands else None
        if entry is not None and entry.kind == "module":
            return _importable(tree, service, entry.name)
    return ""


def _importable(tree: Tree, service: Service, module: str) -> str:
    inner = f"{module.replace('.', '/')}/__main__.py"
    for home in ("", "src", *service.python_path):
        text = tree.text(join(service.path, f"{home}/{inner}" if home else inner))
        if text is not None:
            return f"{module}.__main__" if _is_guarded(text) else module
    return module


def _is_guarded(text: str) -> bool:
    """Whether all that a ``__main__.py`` does by itself is imports, definitions, and what stands under the guard."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return False
    plain = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return all(
        isinstance(node, plain)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        or (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))
        for node in body
    )
