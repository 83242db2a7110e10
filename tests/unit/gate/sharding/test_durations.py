"""The file of durations, and the expected times of items."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.plan import Plan, Suite, SuiteKind
from pytest_py312.gate.run.tasks import tasks_of
from pytest_py312.gate.sharding.durations import (
    DurationsError,
    format_durations,
    parse_durations,
    updated_durations,
)
from pytest_py312.gate.sharding.estimates import weighed_items
from tests.support.fakes import service
from tests.support.report_samples import judged

PLAN = Plan(root=Path("/fleet"))
USER = service("user-service", suite=Suite(kind=SuiteKind.PYTEST))
TIMES = st.dictionaries(
    st.tuples(st.text(max_size=8), st.sampled_from(["source", "py3.12::suite"])),
    st.integers(0, 10_000).map(lambda tenths: tenths / 10),
)


@given(TIMES)
def test_a_written_file_is_read_as_it_was(durations: dict[tuple[str, str], float]) -> None:
    assert parse_durations(format_durations(durations).encode("utf-8"), "durations.json") == durations


def test_the_file_is_sorted_with_a_line_for_each_service() -> None:
    text = format_durations({("user", "py3.12::suite"): 12.34, ("user", "source"): 0.5, ("auth", "source"): 1.0})

    assert text.splitlines() == [
        "{",
        '  "schema": 1,',
        '  "services": {',
        '    "auth": {"source": 1.0},',
        '    "user": {"py3.12::suite": 12.3, "source": 0.5}',
        "  }",
        "}",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n"schema": 1,\n', "times.json:3: this is not JSON"),
        (b"\xff\xfe\xff", "times.json: this is not a JSON document in UTF-8"),
        (b'{"schema": 1, "services": {"a": {"source": NaN}}}', "times.json: this is not a JSON document"),
        (b"[]", 'times.json: this is not a file of durations: it has no object "services"'),
        (b'{"schema": 2, "services": {}}', 'times.json: "schema" is not 1'),
        (b'{"schema": 1, "services": {"a": 3}}', "times.json: a: expected an object"),
        (b'{"schema": 1, "services": {"a": {"source": -1}}}', "times.json: a: source: expected seconds"),
        (b'{"schema": 1, "services": {"a": {"source": true}}}', "times.json: a: source: expected seconds"),
        (b'{"schema": 1, "services": {"a": {"source": "1"}}}', "times.json: a: source: expected seconds"),
        (b'{"schema": 1, "services": {"a": {"source": 1e999}}}', "times.json: a: source: expected seconds"),
        (
            b'{"schema": 1, "services": {"a": {"source": 1%b}}}' % (b"0" * 400),
            "times.json: a: source: expected seconds",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named(content: bytes, message: str) -> None:
    with pytest.raises(DurationsError) as caught:
        parse_durations(content, "times.json")
    assert message in str(caught.value)


def test_a_cached_outcome_keeps_the_recorded_time() -> None:
    """It took no time in this run, and would look as if it needed none."""
    computed, cached = replace(judged(check="suite"), seconds=3.0), replace(judged(), cached=True)
    previous = {("user-service", "py3.12::source"): 7.0, ("gone", "source"): 9.0}

    durations = updated_durations(previous, [computed, cached], ["user-service"], covers_all=True)

    assert durations == {("user-service", "py3.12::source"): 7.0, ("user-service", "py3.12::suite"): 3.0}


def test_a_run_of_one_stage_keeps_the_times_of_the_others() -> None:
    previous = {("other", "source"): 9.0}
    assert updated_durations(previous, [], ["user-service"], covers_all=False) == previous


def test_a_new_service_gets_its_share_on_the_scale_of_the_recorded_ones() -> None:
    """On a machine that is ten times as fast, it is expected to be ten times as fast as well."""
    new = replace(USER, name="new-service")
    tasks = [*tasks_of(PLAN, USER), *tasks_of(PLAN, new)]
    estimated = {item.key: item.weight for item in weighed_items(tasks, {}, lambda _: 5)}
    recorded = {key: weight / 10_000 for key, weight in estimated.items() if key[0] == USER.name}

    weights = {item.key: item.weight for item in weighed_items(tasks, recorded, lambda _: 5)}

    for service_name, item in weights:
        assert weights[service_name, item] == pytest.approx(estimated[service_name, item] / 10, abs=1)


def test_without_recorded_times_a_larger_suite_is_expected_to_take_longer() -> None:
    def weight(test_files: int) -> int:
        return sum(item.weight for item in weighed_items(tasks_of(PLAN, USER), {}, lambda _: test_files))

    assert weight(1) < weight(50)


def test_test_files_are_counted_only_where_something_is_not_recorded() -> None:
    tasks = tasks_of(PLAN, USER)
    recorded = {(USER.name, "::".join(task.node_parts)): 1.0 for task in tasks}
    counted: list[str] = []

    def count(counted_service: object) -> int:
        counted.append(str(counted_service))
        return 1

    assert {item.weight for item in weighed_items(tasks, recorded, count)} == {1000}
    assert counted == []
