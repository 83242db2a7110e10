"""Services that are modules of one package around them: ``application/orders``, tested from the folder around it."""

from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.repository.services.discovery import discover
from tests.support.fakes import service_tree

FILES = {
    "application/__init__.py": "",
    "application/conftest.py": "import testfixtures\nfrom application.common import db\n",
    "application/requirements-dev.txt": "pytest\ntestfixtures\n",
    "application/common/__init__.py": "",
    "application/common/db.py": "import psycopg\n",
    "application/orders/__init__.py": "",
    "application/orders/app.py": "import requests\nfrom common import db\n",
    "application/orders/requirements.txt": "six\n",
    "application/orders/tests/__init__.py": "",
    "application/orders/tests/test_app.py": "from application.orders import app\n\ndef test_app():\n    assert app\n",
    "application/stock/__init__.py": "",
    "application/stock/app.py": "",
    "application/stock/requirements.txt": "psycopg[binary]\nsetuptools\nrequests\n",
}


def fleet_with(root: Path, **changes: str) -> Fleet:
    files = {**FILES, **{path.replace("__", "/") + ".py": text for path, text in changes.items()}}
    return discover(Plan(root=service_tree(root, files)))


def test_the_suite_runs_beside_the_package(tmp_path: Path) -> None:
    """With the folders, fixtures and requirements that its services share, as the job of CI that tests all of them."""
    fleet = fleet_with(tmp_path)
    orders = fleet["orders"]
    assert orders.suite is not None
    assert (orders.suite.folder, orders.suite.arguments) == (".", ("application/orders/tests",))
    assert orders.settings.needs == ("application/common",)
    assert orders.python_path == ("..",)
    assert [str(source) for source in (*orders.requirements, *orders.test_requirements)] == [
        "application/orders/requirements.txt",
        "application/requirements-dev.txt",
        "application/stock/requirements.txt:1 (psycopg[binary])",
    ]
    assert (
        "orders: modules of application, so their tests are run in the folder around it, with "
        "application/requirements-dev.txt, application/stock/requirements.txt:1 (psycopg[binary])."
    ) in fleet.assumptions


def test_what_no_shared_module_imports_is_not_installed(tmp_path: Path) -> None:
    orders = fleet_with(tmp_path, application__common__db="import json\n")["orders"]
    assert "application/stock/requirements.txt" not in [source.path for source in orders.test_requirements]


@pytest.mark.parametrize(
    "plan",
    ['[service.orders]\nsuite = ["pytest", "tests"]\n', '[service.orders]\nsuite = false\nreason = "no tests"\n'],
)
def test_what_the_plan_says_of_the_suite_is_kept(tmp_path: Path, plan: str) -> None:
    service_tree(tmp_path, {**FILES, "py312.toml": plan})
    suite = discover(load_plan(tmp_path / "py312.toml", today=date(2026, 1, 1)))["orders"].suite
    assert suite is None or not suite.folder


def test_tests_that_do_not_import_the_package_run_in_the_service(tmp_path: Path) -> None:
    test = "from orders import app\n\ndef test_app():\n    assert app\n"
    suite = fleet_with(tmp_path, application__orders__tests__test_app=test)["orders"].suite
    assert suite is not None
    assert (suite.folder, suite.arguments) == ("", ("tests",))
