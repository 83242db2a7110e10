"""The address of a health check, and the report of a container's start."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.services.images import ImageJob, ImageStartup, ServiceImage
from pytest_py312.runners.docker.startup_timing import START_LIMIT, START_SCRIPT, health_check_address, parse_start

JOB = ImageJob(
    identifier="x", root=Path("/fleet"), image=ServiceImage(dockerfile="s/Dockerfile", context="s"),
    interpreter=Interpreter(3, 12),
)  # fmt: skip


@pytest.mark.parametrize(
    ("check", "address"),
    [
        (["CMD-SHELL", "curl -f http://localhost:8018/health || exit 1"], (8018, "/health")),
        (["CMD-SHELL", "python -c \"import my; my.get('http://127.0.0.1/a?b')\""], (80, "/a?b")),
        (["CMD", "wget", "-qO-", "http://0.0.0.0:9000"], (9000, "/")),
        (["CMD", "curl", "http://localhost/"], (80, "/")),
        (["CMD-SHELL", "curl -f http://localhost:1/a && curl -f http://localhost:1/b"], None),
        (["CMD", "curl", "https://localhost:8443/"], None),
        (["CMD", "curl", "http://example.org/"], None),
        (["CMD", "curl", "http://localhost:99999/"], None),
        (["CMD", "pg_isready"], None),
    ],
)  # fmt: skip
def test_the_address_that_a_check_fetches(check: list[str], address: tuple[int, str] | None) -> None:
    """It is returned only if it is the only one, and the service's own."""
    assert health_check_address(check) == address


@given(st.lists(st.text()))
def test_no_check_crashes_the_parser(check: list[str]) -> None:
    """The result is a valid address or none."""
    address = health_check_address(["CMD", *check])
    assert address is None or 0 < address[0] < 65536


def test_the_report_of_a_container() -> None:
    """It is the last line; the service may print anything before it."""
    report = json.dumps({"seconds": 0.75, "memory": 24_000_000})
    assert parse_start(f'{{"seconds": 3}}\n{report}\n', JOB) == ImageStartup(seconds=0.75, memory=24_000_000)


@pytest.mark.parametrize(
    "output",
    [
        "", "{", "[1]", '{"ended": 1}', '{"seconds": -1, "memory": 1}', '{"seconds": NaN, "memory": 1}',
        '{"seconds": 1, "memory": -1}', '{"seconds": 1, "memory": Infinity}', '{"a":' * 10_000,
    ],
)  # fmt: skip
def test_other_output_is_no_measurement(output: str) -> None:
    """Invalid or implausible values are rejected."""
    assert parse_start(output, JOB).unchecked == "s/Dockerfile on 3.12: it did not become healthy"


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.dictionaries(st.sampled_from(["seconds", "memory"]), VALUES | st.lists(VALUES)))
def test_every_report_is_a_plausible_measurement_or_none(report: object) -> None:
    """A container may print anything."""
    startup = parse_start(json.dumps(report), JOB)
    assert startup.unchecked or (0 < startup.seconds < 10 * START_LIMIT and startup.memory >= 0)


def test_the_script_in_the_container_runs_on_old_pythons() -> None:
    """The image may have one."""
    assert ast.parse(START_SCRIPT, feature_version=(3, 6)).body
