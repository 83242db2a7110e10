"""Functions of AWS Lambda in cells: they have what their runtime provides, and the tests beside them are run."""

import json
from pathlib import Path

import pytest

from tests.integration.gate_runs import gate
from tests.support.fakes import service_tree

pytestmark = pytest.mark.network

TEMPLATE = """\
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src/hello, Handler: app.handler, Runtime: python3.9, Layers: [!Ref Shared]}
  Shared:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer}
"""
APP = "import boto3, urllib3, awslambdaric, shared\n\n\ndef handler(event, context):\n    return shared.VALUE\n"
TEST = """\
from src.hello import app


def test_versions():
    assert app.handler({}, None) == 3
    assert (app.boto3.__version__, app.urllib3.__version__) == ("1.26.0", "1.26.15")
"""
FILES = {
    "py312.toml": 'target = "3.12"\ninterpreters = ["3.9", "3.10", "3.12"]\n',
    "shop/template.yaml": TEMPLATE,
    "shop/src/hello/requirements.txt": "boto3==1.26.0\nurllib3==1.26.15\n",
    "shop/src/hello/app.py": APP,
    "shop/layer/python/shared.py": "VALUE = 3\n",
    "shop/tests/requirements.txt": "pytest\n",
    "shop/tests/unit/__init__.py": "",
    "shop/tests/__init__.py": "",
    "shop/tests/unit/test_app.py": TEST,
}


def statuses(tmp_path: Path, cache: Path, files: dict[str, str]) -> tuple[set[tuple[str, str]], str]:
    """The checks of the target with their status, and all reasons."""
    root = service_tree(tmp_path / "repository", {**FILES, **files})
    checks = "py312_dependencies or py312_libraries or py312_suite"
    done = gate(root, cache, f"--py312-report={root / 'report.json'}", checks=checks, seconds=600)
    assert done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), done.stdout + done.stderr
    outcomes = json.loads((root / "report.json").read_text(encoding="utf-8"))["outcomes"]
    reasons = " ".join(str(outcome["reason"]) for outcome in outcomes)
    return {(outcome["check"], outcome["status"]) for outcome in outcomes}, reasons


def test_a_function_has_what_its_runtime_provides_beside_what_it_requires(tmp_path: Path, gate_cache: Path) -> None:
    """On 3.9, 3.10 and 3.12; nothing that it requires gets another version."""
    found, reasons = statuses(tmp_path, gate_cache, {})
    assert found == {("dependencies", "passed"), ("libraries", "passed"), ("suite", "passed")}, reasons


def test_what_neither_the_runtime_nor_a_requirement_provides_is_missing(tmp_path: Path, gate_cache: Path) -> None:
    """A runtime of AWS Lambda has no requests since Python 3.8."""
    found, reasons = statuses(tmp_path, gate_cache, {"shop/src/hello/app.py": f"import requests\n{APP}"})
    assert "imports requests, which nothing that is installed provides" in reasons
    assert ("libraries", "passed") not in found
