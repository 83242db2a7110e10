"""The summary of a distribution's source: its imports and the facts that may be a problem on the target."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.summaries.summarize import positions_in_functions
from pytest_py312.analysis.libraries.summaries.summary import Likelihood, from_document, to_document
from tests.unit.analysis.libraries.samples import summarized

SOURCE = {
    "lib/__init__.py": "from lib.core import run\nfrom . import speed as fast\n",
    "lib/core.py": (
        "import sys\n"
        "import yaml.loader\n"
        "from attrs import Factory, define\n"
        "try:\n    import simplejson\nexcept ImportError:\n    import json\n"
        "if sys.version_info < (3, 8):\n    import importlib_metadata\n"
        "def run():\n    import imp\n    from ..far import away\n    import requests\n    return imp.find_module('x')\n"
    ),
    "lib/speed.py": "import imp\nimport distutils.version\n",
}


def test_imports_have_a_likelihood() -> None:
    modules = {module.name: dict(module.imports) for module in summarized(SOURCE).modules}
    assert modules["lib"] == {"lib.core": Likelihood.AT_IMPORT, "lib.speed": Likelihood.AT_IMPORT}
    assert modules["lib.core"] == {
        "yaml.loader": Likelihood.AT_IMPORT,
        "attrs": Likelihood.AT_IMPORT,  # of its class Factory
        "attrs.define": Likelihood.AT_IMPORT,
        "simplejson": Likelihood.CONDITIONAL,
        "requests": Likelihood.WHEN_CALLED,
    }


def test_only_facts_about_what_the_target_lacks_are_kept() -> None:
    """Including their position: code in a function fails only when it is called."""
    core, speed, package = (
        next(module for module in summarized(SOURCE).modules if module.name == name)
        for name in ("lib.core", "lib.speed", "lib")
    )
    assert package.suspect_facts is None
    assert core.suspect_facts is not None
    assert speed.suspect_facts is not None
    assert {one.module for one in core.suspect_facts.references} == {"imp"}
    assert {line for line, _ in core.called_positions} == {11, 14}
    assert speed.called_positions == frozenset()
    assert speed.setuptools_imports == (("distutils.version", 2, Likelihood.AT_IMPORT),)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("import pkg_resources\n", [Likelihood.AT_IMPORT]),
        ("def f():\n    import pkg_resources\n", [Likelihood.WHEN_CALLED]),
        ("if DEBUG:\n    import pkg_resources\n", [Likelihood.CONDITIONAL]),
        ("try:\n    import pkg_resources\nexcept ImportError:\n    pkg_resources = None\n", []),
        ("import sys\nif 'pkg_resources' in sys.modules:\n    import pkg_resources\n", []),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pkg_resources\n", []),
        ("import sys\nif sys.version_info < (3, 10):\n    import pkg_resources\n", []),
        ("from . import pkg_resources\n", []),
    ],
)
def test_imports_of_setuptools_are_kept_if_they_may_fail(text: str, kept: list[int]) -> None:
    (module,) = summarized({"lib/__init__.py": text}).modules
    assert [how for _, _, how in module.setuptools_imports] == kept


def test_a_summary_survives_serialization() -> None:
    made = summarized(SOURCE)
    assert from_document(json.loads(json.dumps(to_document(made)))) == made


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4)))
def test_a_damaged_document_raises_value_error(data: object) -> None:
    try:
        found = from_document(data)
    except ValueError:
        return
    assert found.modules == ()


def test_a_lambda_is_a_function_and_a_default_is_not() -> None:
    """The value of a default is evaluated when the file is imported."""
    content = b"f = lambda: imp.x\ndef g(a=imp.y):\n    return a\n"
    assert positions_in_functions(content, [(1, 13), (2, 9), (3, 5)]) == {(1, 13), (3, 5)}
