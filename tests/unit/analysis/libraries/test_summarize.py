"""What is kept of a distribution's source: its imports, and what the target may have something against."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.summarize import called_places
from pytest_py312.analysis.libraries.summary import How, document, from_document
from tests.unit.analysis.libraries.samples import digest

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


def test_imports_are_kept_with_how_surely_they_run() -> None:
    modules = {module.name: dict(module.imports) for module in digest(SOURCE).modules}
    assert modules["lib"] == {"lib.core": How.AT_IMPORT, "lib.speed": How.AT_IMPORT}
    assert modules["lib.core"] == {
        "yaml.loader": How.AT_IMPORT,
        "attrs": How.AT_IMPORT,  # of its class Factory
        "attrs.define": How.AT_IMPORT,
        "simplejson": How.PERHAPS,
        "requests": How.WHEN_CALLED,
    }


def test_of_the_facts_only_what_the_target_lacks_is_kept() -> None:
    """And where it stands: in a function, it harms nobody before it is called."""
    core, speed, package = (
        next(module for module in digest(SOURCE).modules if module.name == name)
        for name in ("lib.core", "lib.speed", "lib")
    )
    assert package.suspects is None
    assert core.suspects is not None
    assert speed.suspects is not None
    assert {one.module for one in core.suspects.references} == {"imp"}
    assert {line for line, _ in core.called} == {11, 14}
    assert speed.called == frozenset()
    assert speed.packaging == (("distutils.version", 2, How.AT_IMPORT),)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("import pkg_resources\n", [How.AT_IMPORT]),
        ("def f():\n    import pkg_resources\n", [How.WHEN_CALLED]),
        ("if DEBUG:\n    import pkg_resources\n", [How.PERHAPS]),
        ("try:\n    import pkg_resources\nexcept ImportError:\n    pkg_resources = None\n", []),
        ("import sys\nif 'pkg_resources' in sys.modules:\n    import pkg_resources\n", []),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pkg_resources\n", []),
        ("import sys\nif sys.version_info < (3, 10):\n    import pkg_resources\n", []),
        ("from . import pkg_resources\n", []),
    ],
)
def test_imports_of_setuptools_are_kept_where_they_do_harm(text: str, kept: list[int]) -> None:
    (module,) = digest({"lib/__init__.py": text}).modules
    assert [how for _, _, how in module.packaging] == kept


def test_a_digest_is_what_it_was_after_it_was_kept() -> None:
    made = digest(SOURCE)
    assert from_document(json.loads(json.dumps(document(made)))) == made


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4)))
def test_what_is_no_digest_is_refused_and_nothing_worse(data: object) -> None:
    try:
        found = from_document(data)
    except ValueError:
        return
    assert found.modules == ()


def test_a_lambda_is_a_function_and_a_default_is_not() -> None:
    """The value of a default is worked out when the file is imported."""
    content = b"f = lambda: imp.x\ndef g(a=imp.y):\n    return a\n"
    assert called_places(content, [(1, 13), (2, 9), (3, 5)]) == {(1, 13), (3, 5)}
