"""Remedies for the most common failures."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Finding, Interpreter, Location
from pytest_py312.gate.checks.failure_hints import (
    REMEDIES,
    missing_input_hint,
    remedy_for,
    with_changed_library,
    with_warning_filter,
)
from tests.support.fakes import installation_of


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("ModuleNotFoundError: No module named 'distutils'", "require setuptools"),
        ("ModuleNotFoundError: No module named 'distutils.core'", "require setuptools"),
        ("ModuleNotFoundError: No module named 'pkg_resources'", "below 82"),
        ("ModuleNotFoundError: No module named 'imp'", "importlib"),
        ("ModuleNotFoundError: No module named 'asyncore'", "pyasyncore"),
        ("ModuleNotFoundError: No module named 'asynchat'", "pyasynchat"),
        ("ModuleNotFoundError: No module named 'smtpd'", "aiosmtpd"),
        ("ModuleNotFoundError: No module named 'cgi'", "PEP 594"),
        ("AttributeError: 'TestCase' object has no attribute 'assertEquals'", "assertEqual"),
        ("AttributeError: module 'asyncio' has no attribute 'coroutine'", "async def"),
        ("TypeError: duplicate base class TimeoutError", "name it once"),
        ("AttributeError: module 'configparser' has no attribute 'SafeConfigParser'", "ConfigParser"),
        ("AttributeError: 'ConfigParser' object has no attribute 'readfp'", "read_file"),
        ("AttributeError: module 'pkgutil' has no attribute 'ImpImporter'", "newer setuptools"),
        ("AttributeError: module 'inspect' has no attribute 'getargspec'", "signature"),
        ("ImportError: cannot import name 'UTC' from 'datetime'", "timezone.utc"),
        ("AttributeError: module 'ssl' has no attribute 'wrap_socket'", "SSLContext"),
        (
            "AttributeError: <module 'shop.Cart' from '/x/shop/Cart.py'> does not have the attribute 'add'",
            "patch.object",
        ),
        ('TypeError: required field "lineno" missing from alias', "newer version"),
        ("AttributeError: 'FileFinder' object has no attribute 'find_module'", "find_spec"),
        ("AssertionError: assert 0.9999999999999999 == 1.0", "sum()"),
        ("AssertionError: 0.30000000000000004 != 0.3", "sum()"),
        ("AssertionError: assert 1 == 0.9999999999999999", "sum()"),
    ],
)
def test_a_known_failure_has_its_remedy(text: str, word: str) -> None:
    assert word in remedy_for(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pytest fails at its start (KeyError: 'SECRET_KEY')", "SECRET_KEY"),
        ("environ.ImproperlyConfigured: Set the DATABASE_URL environment variable", "DATABASE_URL"),
        ("ImproperlyConfigured: The SECRET_KEY setting must not be empty.", "SECRET_KEY"),
        ("KeyError: 'name'", ""),
        ("OSError: no database", ""),
    ],
)
def test_a_variable_that_is_missing_has_its_line_of_the_plan(text: str, name: str) -> None:
    expected = f'[service."a"] environment = {{ {name} = "..." }}'
    assert missing_input_hint(text, "a").endswith(expected) if name else missing_input_hint(text, "a") == ""


@pytest.mark.parametrize("module", ["datastore_pb2", "protos.user_pb2_grpc"])
def test_code_that_protoc_generates_has_its_line_of_the_plan(module: str) -> None:
    hint = missing_input_hint(f"ModuleNotFoundError: No module named '{module}'", "a")
    assert hint == (
        f'. If protoc generates {module}, add to py312.toml how: [service."a"] '
        'prepare = [["python", "-m", "grpc_tools.protoc", "..."]]'
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ModuleNotFoundError: No module named 'impala'",
        "ModuleNotFoundError: No module named 'my.distutils'",
        "ModuleNotFoundError: No module named 'requests'",
        "AssertionError: assert 1 == 2",
        "AssertionError: assert 1.25 == 1.5",
        "AssertionError: assert 1700000000.123456 == 1700000000.123457",
        "AssertionError: assert 1.0 == 1",
        "AttributeError: 'Plugin' object has no attribute 'find_plugin'",
    ],
)
def test_an_unknown_failure_has_no_remedy(text: str) -> None:
    assert remedy_for(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "ModuleNotFoundError: No module named 'setuptools_scm'",
        "ModuleNotFoundError: No module named 'setuptools_rust'",
    ],
)
def test_a_longer_name_is_another_module(text: str) -> None:
    assert remedy_for(text) == ""


def test_no_pattern_is_hidden_by_an_earlier_one() -> None:
    patterns = [pattern for pattern, _ in REMEDIES]

    assert len(patterns) == len(set(patterns))
    assert [re.compile(pattern).pattern for pattern in patterns] == patterns
    assert all(remedy for _, remedy in REMEDIES)


@given(st.text())
def test_no_text_crashes_it(text: str) -> None:
    assert isinstance(remedy_for(text), str)


# ---- libraries that have changed


@pytest.mark.parametrize(
    ("message", "versions", "remedy"),
    [
        (
            "cannot be collected: No module named 'cloudevents.sdk'",
            ("1.13.0", "2.0.0"),
            "require cloudevents==1.13.0, ",
        ),
        (
            "ImportError: cannot import name 'v1' from 'cloudevents' (/x.py)",
            ("1.13.0", "2.0.0"),
            "require cloudevents==",
        ),
        ("No module named 'cloudevents.sdk'", ("2.0.0", "2.0.0"), ""),  # it is not the version
        ("No module named 'cloudevents'", ("1.13.0", "2.0.0"), ""),  # it is not installed
        ("No module named 'cloud.events'", ("1.13.0", "2.0.0"), ""),  # of another project
        ("AssertionError: cloudevents.sdk", ("1.13.0", "2.0.0"), ""),
    ],
)
def test_what_another_version_of_a_library_lacks(message: str, versions: tuple[str, str], remedy: str) -> None:
    baseline, target = (installation_of(on, {"cloudevents": version}).environment
                        for on, version in zip(("3.9", "3.12"), versions, strict=True))  # fmt: skip
    finding = Finding(code="PY402", message=message, remedy="fix it")

    changed = with_changed_library(finding, target, baseline, Interpreter(3, 9))

    assert changed.remedy.startswith(remedy or "fix it")
    assert ("2.0.0 is installed, and 1.13.0 on 3.9" in changed.message) is bool(remedy)
    assert with_changed_library(finding, None, baseline, Interpreter(3, 9)) == finding


STRICT = Location(path="shop/pytest.ini", line=4)
OF_LIBRARY = Finding(
    code="PY401",
    message="1 test fails (passes on 3.10): DeprecationWarning: datetime.datetime.utcnow() is deprecated and scheduled",
    remedy="the cause is in botocore: require a version of it that runs there",
)


def test_a_warning_of_a_library_is_an_error_where_the_settings_say_so() -> None:
    """Found in qnabot-on-aws: the smallest change is a line of its pytest.ini."""
    filtered = with_warning_filter(OF_LIBRARY, STRICT)
    assert filtered.location == STRICT
    assert filtered.message.endswith("scheduled (shop/pytest.ini:4 makes it an error)")
    remedy = "require a version of botocore that does not warn, or add behind that line: "
    assert filtered.remedy == f"{remedy}ignore:datetime.datetime.utcnow:DeprecationWarning"

    in_toml = with_warning_filter(OF_LIBRARY, replace(STRICT, path="shop/pyproject.toml"))
    assert in_toml.remedy == f'{remedy}"ignore:datetime.datetime.utcnow:DeprecationWarning",'


@pytest.mark.parametrize(
    ("finding", "place"),
    [
        (OF_LIBRARY, None),
        (replace(OF_LIBRARY, remedy="use datetime.now(timezone.utc)"), STRICT),
        (replace(OF_LIBRARY, message="1 test fails (passes on 3.10): KeyError: 'a'"), STRICT),
    ],
    ids=["no filter", "own code", "no warning"],
)
def test_other_failures_stay_as_they_are(finding: Finding, place: Location | None) -> None:
    assert with_warning_filter(finding, place) is finding
