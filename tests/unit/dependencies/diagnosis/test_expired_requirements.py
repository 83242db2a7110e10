"""A pin of a backport that only older Pythons need."""

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.dependencies.diagnosis.expired_requirements import ExpiredRequirement, expired_requirement

ZONEINFO = ("django", 'backports.zoneinfo; python_version < "3.9"')


@pytest.mark.parametrize(
    ("requires", "marker", "requirers"),
    [
        ([ZONEINFO, ("django", "asgiref>=3")], 'python_version < "3.9"', ("django",)),
        (
            [ZONEINFO, ("celery", "backports_zoneinfo>=0.2; python_version<'3.10'")],
            'python_version < "3.10"',
            ("celery", "django"),
        ),
        ([("a", 'backports-zoneinfo; python_version <= "3.8"'), ZONEINFO], 'python_version < "3.9"', ("a", "django")),
    ],
)
def test_the_marker_of_those_who_require_it_is_taken(
    requires: list[tuple[str, str]], marker: str, requirers: tuple[str, ...]
) -> None:
    found = expired_requirement("backports-zoneinfo", requires, Interpreter(3, 8), Interpreter(3, 12))

    assert found == ExpiredRequirement(marker=marker, requirers=requirers)


@pytest.mark.parametrize(
    "requires",
    [
        [],
        [("django", "asgiref")],
        [ZONEINFO, ("other", "backports-zoneinfo")],
        [ZONEINFO, ("other", "backports-zoneinfo; sys_platform == 'linux'")],
        [("other", "backports-zoneinfo; python_version < '3.9' and sys_platform == 'linux'")],
        [("other", "backports-zoneinfo; extra == 'tz'")],
        [("other", "backports-zoneinfo !!!")],
    ],
)
def test_what_the_target_needs_or_nobody_requires_has_none(requires: list[tuple[str, str]]) -> None:
    assert expired_requirement("backports-zoneinfo", requires, Interpreter(3, 8), Interpreter(3, 12)) is None


@pytest.mark.parametrize(("target", "is_expired"), [("3.8", False), ("3.9", True), ("3.10", True), ("3.12", True)])
def test_the_target_decides(target: str, is_expired: bool) -> None:
    found = expired_requirement("backports-zoneinfo", [ZONEINFO], Interpreter(3, 8), Interpreter.parse(target))

    assert (found is not None) is is_expired
