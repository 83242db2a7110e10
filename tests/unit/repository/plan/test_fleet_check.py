"""The plan against the fleet that was found."""

from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.errors import PlanError
from pytest_py312.repository.plan.fleet_check import check_against_fleet
from pytest_py312.repository.plan.loader import default_plan, load_plan

TODAY = date(2026, 11, 25)
SERVICES = [
    ("api-gateway", "services/api-gateway"),
    ("listen-service", "services/diagnostic-services/listen-service"),
    ("user-service", "services/user-service"),
]


def error_of(folder: Path, text: str) -> str:
    path = folder / "py312.toml"
    path.write_text(text, encoding="utf-8")
    plan = load_plan(path, today=TODAY)
    with pytest.raises(PlanError) as caught:
        check_against_fleet(plan, SERVICES)
    return str(caught.value)


def test_a_plan_that_fits_its_fleet_is_silent(tmp_path: Path) -> None:
    """Names, paths, ends of paths and globs; two patterns of one stage may fit one service."""
    path = tmp_path / "py312.toml"
    path.write_text(
        '[[stage]]\nnumber = 1\nservices = ["api-gateway", "services/api-*"]\n'
        '[[stage]]\nnumber = 2\nservices = ["diagnostic-services/*", "services/user-service"]\n'
        '[service."listen-service"]\nrequirements = ["../../../requirements.txt"]\n'
        '[[waiver]]\nservice = "*"\ncode = "PY401"\nreason = "r"\nowner = "o"\nuntil = 2027-01-31\n',
        encoding="utf-8",
    )
    plan = load_plan(path, today=TODAY)
    check_against_fleet(plan, SERVICES)
    check_against_fleet(default_plan(tmp_path), SERVICES)
    assert [stage.number for stage in plan.stages] == [1, 2]


def test_a_pattern_of_a_stage_that_fits_nothing(tmp_path: Path) -> None:
    """Its own line is reported, even if the stages are not sorted by number."""
    message = error_of(
        tmp_path,
        '[[stage]]\nnumber = 2\nservices = [\n  "user-service",\n  "./listen-servce",\n]\n'
        '[[stage]]\nnumber = 1\nservices = ["api-gateway"]\n',
    )
    assert message == (
        'py312.toml:5: stage[1].services[2]: "listen-servce" fits no service, perhaps you meant "listen-service"'
    )


def test_a_service_table_that_fits_nothing(tmp_path: Path) -> None:
    """A misspelt table would be passed over in silence otherwise."""
    message = error_of(tmp_path, 'reruns = 1\n[service."services/usr-service"]\n')
    assert message == (
        'py312.toml:2: service."services/usr-service": fits no service, perhaps you meant "services/user-service"'
    )


def test_a_waiver_that_fits_nothing(tmp_path: Path) -> None:
    """A service that is gone needs no waiver."""
    message = error_of(
        tmp_path, '[[waiver]]\ncode = "PY401"\nservice = "gone"\nreason = "r"\nowner = "o"\nuntil = 2027-01-31\n'
    )
    assert message == 'py312.toml:3: waiver[1].service: "gone" fits no service'


def test_a_service_in_two_stages(tmp_path: Path) -> None:
    """Both places are named, with their lines."""
    message = error_of(
        tmp_path,
        '[[stage]]\nnumber = 1\nservices = ["user-service"]\n[[stage]]\nnumber = 2\nservices = ["services/*"]\n',
    )
    assert message == (
        'py312.toml:6: stage[2].services[1]: "user-service" is in two stages, stage 1 ("user-service", py312.toml:3) '
        'and stage 2 ("services/*", py312.toml:6); leave it in one'
    )


@pytest.mark.parametrize("key", ["requirements", "test-requirements", "python-path"])
@pytest.mark.parametrize("table", ["[defaults]", '[service."services/*"]'])
def test_a_path_that_leads_out_of_the_root(tmp_path: Path, key: str, table: str) -> None:
    """Two levels up is inside for one service and outside for another."""
    message = error_of(tmp_path, f'{table}\n\n{key} = ["ok", "../../../secret"]\n')
    assert message.startswith(f"py312.toml:3: {table[1:-1]}.{key}[2]: ")
    assert '"../../../secret" of the service at services/api-gateway leads out' in message


@pytest.mark.parametrize("change", ["gone", "changed", "broken"])
def test_no_line_where_the_file_is_no_longer_what_was_read(tmp_path: Path, change: str) -> None:
    """No line is better than a wrong one."""
    path = tmp_path / "py312.toml"
    path.write_text('[[stage]]\nnumber = 1\nservices = ["gone"]\n', encoding="utf-8")
    plan = load_plan(path, today=TODAY)
    if change == "gone":
        path.unlink()
    else:
        text = '[[stage]]\nnumber = 1\nservices = ["other"]\n' if change == "changed" else "[["
        path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=r'^py312\.toml: stage\[1\]\.services\[1\]: "gone" fits no service'):
        check_against_fleet(plan, SERVICES)
