"""Third-party imports of a service, and its run-time files."""

from pathlib import Path

from pytest_py312.analysis.libraries.service_imports import (
    NeighborModules,
    external_imports,
    own_module_names,
    run_time_imports,
    used_files,
)
from pytest_py312.analysis.libraries.summaries.summary import Likelihood
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.repository.tree import Tree
from tests.support.fakes import cell_of, service, service_tree

FILES = {
    "services/user-service/main.py": (
        "import os, redis\nfrom internal import store\nimport shared.events\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import mypy_boto3\n"
        "if os.environ.get('TRACE'):\n    import ddtrace\n"
        "try:\n    import orjson\nexcept ImportError:\n    orjson = None\n"
    ),
    "services/user-service/internal/store.py": "from . import tables\nfrom sqlalchemy.orm import Session\n",
    "services/user-service/internal/tables.py": "def f():\n    import pandas\n",
    "services/user-service/internal/unused.py": "",
    "services/user-service/tests/test_store.py": "import pytest\n",
    "shared/events.py": "",
    "docs/readme.md": "",
}


def test_external_imports_have_a_likelihood(tmp_path: Path) -> None:
    """The modules of the service and those beside it in the repository are its own."""
    tree = Tree(service_tree(tmp_path, FILES))
    paths = [path for path in FILES if path.startswith("services/user-service")]
    facts = [scan_text(FILES[path], path) for path in paths]
    local = own_module_names(service(), paths, tree)
    roots = external_imports(facts, {path: FILES[path].encode() for path in paths}, local, (3, 12))
    assert {(root.target, root.likelihood) for root in roots} == {
        ("redis", Likelihood.AT_IMPORT),
        ("ddtrace", Likelihood.CONDITIONAL),
        ("orjson", Likelihood.CONDITIONAL),
        ("sqlalchemy.orm.Session", Likelihood.AT_IMPORT),
        ("pandas", Likelihood.WHEN_CALLED),
        ("pytest", Likelihood.AT_IMPORT),
    }


def test_what_another_distribution_has_in_a_package_of_the_service_is_external() -> None:
    """A namespace: what is not in the files of the service, and what an installed one has."""
    text = (
        "import acme.client\nfrom acme import client as c\nimport acme.common.db\nfrom acme.other import x\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import acme.client.types\nfrom . import db\n"
    )
    facts = [scan_text(text, "svc/acme/common/a.py"), scan_text("", "svc/acme/common/db.py")]

    def targets(*installed: str) -> list[str]:
        return [root.target for root in external_imports(facts, {}, {"acme"}, (3, 12), set(installed).__contains__)]

    assert targets("acme.client", "acme.common") == ["acme.client", "acme.client"]
    assert targets() == []


def test_files_that_start_the_service_or_are_imported_are_used() -> None:
    facts = [scan_text(text, path) for path, text in FILES.items() if path.endswith(".py")]
    assert used_files(facts, "services/user-service") == {
        "services/user-service/main.py",
        "services/user-service/internal/store.py",
        "services/user-service/internal/tables.py",
        "shared/events.py",
    }


def test_a_folder_without_python_is_no_module(tmp_path: Path) -> None:
    tree = Tree(
        service_tree(tmp_path, {"redis/redis.conf": "", "libs/tools/x.py": "", "services/user-service/a.py": ""})
    )
    names = own_module_names(service(), ["services/user-service/a.py"], tree)
    assert {"a", "tools", "libs"} <= names
    assert "redis" not in names


def test_run_time_imports_are_those_that_run_in_any_case(tmp_path: Path) -> None:
    """Neither what only tests or a function import, nor what may be missing."""
    tree = Tree(service_tree(tmp_path, FILES))
    facts = [scan_text(text, path) for path, text in FILES.items() if path.startswith("services/user-service")]
    contents = {path: text.encode() for path, text in FILES.items()}

    names = run_time_imports(facts, contents, cell_of("3.12"), tree, NeighborModules(tree))

    assert names == ("redis", "sqlalchemy.orm.Session")
