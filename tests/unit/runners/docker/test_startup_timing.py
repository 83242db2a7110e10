"""What a health check asks, and what a container says of its start."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.services.images import ImageJob, ImageStart, OwnImage
from pytest_py312.runners.docker.startup_timing import LIMIT, START, address_of, read_start

JOB = ImageJob(
    identifier="x", root=Path("/fleet"), image=OwnImage(dockerfile="s/Dockerfile", context="s"),
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
def test_the_address_that_a_check_asks(check: list[str], address: tuple[int, str] | None) -> None:
    """Where it is just one, and the service's own."""
    assert address_of(check) == address


@given(st.lists(st.text()))
def test_a_check_may_be_anything(check: list[str]) -> None:
    """What is found is an address."""
    found = address_of(["CMD", *check])
    assert found is None or 0 < found[0] < 65536


def test_what_a_container_says() -> None:
    """In the last line of its own: a service may print what it likes before."""
    said = json.dumps({"seconds": 0.75, "memory": 24_000_000})
    assert read_start(f'{{"seconds": 3}}\n{said}\n', JOB) == ImageStart(seconds=0.75, memory=24_000_000)


@pytest.mark.parametrize(
    "said",
    [
        "", "{", "[1]", '{"ended": 1}', '{"seconds": -1, "memory": 1}', '{"seconds": NaN, "memory": 1}',
        '{"seconds": 1, "memory": -1}', '{"seconds": 1, "memory": Infinity}', '{"a":' * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_measurement(said: str) -> None:
    """Nothing else is believed."""
    assert read_start(said, JOB).unchecked == "s/Dockerfile on 3.12: it did not become healthy"


told = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.dictionaries(st.sampled_from(["seconds", "memory"]), told | st.lists(told)))
def test_whatever_it_says(said: object) -> None:
    """It is a measurement within limits, or none."""
    found = read_start(json.dumps(said), JOB)
    assert found.unchecked or (0 < found.seconds < 10 * LIMIT and found.memory >= 0)


def test_what_runs_in_the_container_is_any_pythons() -> None:
    """The image's may be an old one."""
    assert ast.parse(START, feature_version=(3, 6)).body
