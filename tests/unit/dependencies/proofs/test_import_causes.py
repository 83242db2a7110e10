"""The module that makes others fail on import: of the innermost frame, if it fails alone in the same way."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.proofs.import_causes import cause_of, innermost_module, possible_causes
from pytest_py312.dependencies.store.environments import Environment

PACKAGES = "/cache/envs/0123456789abcdef/lib/python3.12/site-packages"
ENVIRONMENT = Environment(
    key="k", folder=Path("/e"), versions={}, modules={"web": ("web",), "Base-Types": ("base_types",)}
)


def traceback(*files: str, error: str = "TypeError: not an acceptable base type") -> str:
    frames = "".join(f'  File "{file}", line 3, in <module>\n    code\n' for file in files)
    return f"Traceback (most recent call last):\n{frames}{error}\n"


@pytest.mark.parametrize(
    ("files", "module"),
    [
        ((f"{PACKAGES}/web/__init__.py", f"{PACKAGES}/base_types.py"), "base_types"),
        ((f"{PACKAGES}/web/__init__.py",), "web"),
        ((f"{PACKAGES}/web/forms/fields.py", "/usr/lib/python3.12/typing.py"), "web.forms.fields"),
        ((f"{PACKAGES}/web/__main__.py",), ""),
        (("/usr/lib/python3.12/typing.py",), ""),
    ],
)
def test_the_innermost_installed_module(files: tuple[str, ...], module: str) -> None:
    """Frames of the standard library say what fails, and not who is the cause."""
    assert innermost_module(traceback(*files)) == module


def test_only_modules_of_other_projects_are_tried_alone() -> None:
    """One that was imported already is not tried again."""
    within = traceback(f"{PACKAGES}/web/__init__.py", f"{PACKAGES}/web/forms.py")
    across = traceback(f"{PACKAGES}/web/__init__.py", f"{PACKAGES}/base_types.py")
    assert possible_causes({"web": across, "other": ""}, ENVIRONMENT, ()) == ("base_types",)
    assert possible_causes({"web": across, "base_types": across}, ENVIRONMENT, ()) == ()
    assert possible_causes({"web": within}, ENVIRONMENT, ()) == ()


def test_a_cause_fails_alone_with_the_same_error() -> None:
    """One that imports alone is only used in a wrong way."""
    across = traceback(f"{PACKAGES}/web/__init__.py", f"{PACKAGES}/base_types.py")
    other = traceback(f"{PACKAGES}/base_types.py", error="KeyError: 'HOME'")
    assert cause_of("web", {"web": across, "base_types": across}) == "base_types"
    assert cause_of("base_types", {"web": across, "base_types": across}) == ""
    assert cause_of("web", {"web": across, "base_types": other}) == ""
    assert cause_of("web", {"web": across, "base_types": ""}) == ""
    assert cause_of("web", {"web": across}) == ""


@pytest.mark.parametrize(
    ("missing", "cause"),
    [
        ("six.moves", "six.moves"),
        ("six.moves.urllib", "six.moves"),
        ("urllib3.packages.six.moves", "urllib3.packages.six.moves"),
        ("web.gone", ""),
    ],
)
def test_an_old_six_is_the_cause_where_its_moves_are_missing(missing: str, cause: str) -> None:
    """No frame is its own: the import system asks its finder, which does not answer. Of others, a part may be gone."""
    failed = traceback(f"{PACKAGES}/web/__init__.py", error=f"ModuleNotFoundError: No module named '{missing}'")
    modules = {**ENVIRONMENT.modules, "six": ("six",), "urllib3": ("urllib3",)}
    environment = replace(ENVIRONMENT, modules=modules)
    assert possible_causes({"web": failed}, environment, ()) == ((cause,) if cause else ())
    if missing == cause:
        assert cause_of("web", {"web": failed, cause: failed}) == cause


def test_the_cause_is_the_end_of_the_chain_and_two_that_import_each_other_have_none() -> None:
    """Otherwise each would be left out for the other one."""
    first, second = traceback(f"{PACKAGES}/web/__init__.py", f"{PACKAGES}/forms.py"), traceback(f"{PACKAGES}/base.py")
    chain = {"web": first, "forms": traceback(f"{PACKAGES}/forms.py", f"{PACKAGES}/base.py"), "base": second}
    assert [cause_of(module, chain) for module in chain] == ["base", "base", ""]
    circle = {"web": first, "forms": traceback(f"{PACKAGES}/forms.py", f"{PACKAGES}/web/__init__.py")}
    assert [cause_of(module, circle) for module in circle] == ["", ""]


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    """Tracebacks come from untrusted code."""
    assert all(part.isidentifier() for part in innermost_module(text).split(".") if part)
