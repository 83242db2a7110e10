"""What is broken, and which command still works: each cell of the table in ``docs/reference/rollout.md`` is a test."""

import socket
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pytest_py312.cli.main import main
from pytest_py312.rollout.domain.journal import JOURNAL_FILE
from pytest_py312.rollout.targets.target import TargetRefused
from tests.unit.rollout.sites import CASES, NEW, Case, Site, is_restored, site_in, soaking

WAIVER = '\n[[waiver]]\nservice = "auth"\ncode = "PY401"\nreason = "r"\nowner = "o"\nuntil = 2020-01-31\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return site_in(tmp_path, monkeypatch)


# ---- what is broken


def nothing(site: Site) -> None:
    """Nothing.

    For comparison.
    """


def misspelt_key(site: Site) -> None:
    """A misspelt key in the plan."""
    plan = site.shell.plan
    plan.write_text(plan.read_text(encoding="utf-8").replace("readiness-delay", "readyness-delay"), encoding="utf-8")


def no_toml(site: Site) -> None:
    """A plan that is no TOML."""
    site.shell.plan.write_text("[deploy\n", encoding="utf-8")


def waiver_that_has_ended(site: Site) -> None:
    """A waiver in the plan that has ended."""
    with site.shell.plan.open("a", encoding="utf-8") as plan:
        plan.write(WAIVER)


def no_plan(site: Site) -> None:
    """No plan."""
    site.shell.plan.unlink()


def unreadable_plan(site: Site) -> None:
    """A plan that is no text."""
    site.shell.plan.write_bytes(b"\xff\xfe\x00")


def renamed_service(site: Site) -> None:
    """A service of a stage that was renamed or removed.

    The plan can be read, and does not fit its repository any more.
    """
    services = site.shell.root / "services"
    (services / "auth").rename(services / "authentication")


def no_repository(site: Site) -> None:
    """The repository is gone, `--state-dir` names the journal."""
    site.state_dir = site.state_dir.rename(site.shell.root.parent / "saved-state")
    site.shell.root.rename(site.shell.root.parent / "elsewhere")


def moved_tags(site: Site) -> None:
    """The tags mean other images.

    The references mean other images now; only ids are right.
    """
    site.monkeypatch.setattr(site.shell.target, "image_id", lambda reference: f"another {reference}")
    site.shell.target.images.clear()


def no_network(site: Site) -> None:
    """Nothing is asked but the engine."""

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was attempted")

    for name in ("connect", "connect_ex", "sendto"):
        site.monkeypatch.setattr(socket.socket, name, refuse)
    site.monkeypatch.setattr(socket, "getaddrinfo", refuse)


def no_registry(site: Site) -> None:
    """The registry does not answer.

    Images cannot be looked up or pulled.
    """

    def refuse(reference: str) -> str:
        raise TargetRefused(f"{reference}: the registry does not answer")

    no_network(site)
    for name in ("image_id", "image_info"):
        site.monkeypatch.setattr(site.shell.target, name, refuse)


def no_index(site: Site) -> None:
    """The package index does not answer."""
    no_network(site)
    site.monkeypatch.setenv("UV_INDEX_URL", "http://index.invalid/simple")
    site.monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")


def no_prometheus(site: Site) -> None:
    """Prometheus does not answer.

    The plan has a metric of it.
    """
    no_network(site)


def change_journal(site: Site, *statements: str) -> None:
    connection = sqlite3.connect(site.state_dir / JOURNAL_FILE)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def journal_of_an_earlier_version(site: Site) -> None:
    """A journal of an earlier version, such as 0.1.0.

    0.1.0 did not record how to reach the target.
    """
    change_journal(site, "update runs set document = json_remove(document, '$.address')")


def journal_of_a_later_version(site: Site) -> None:
    """A journal of a later version that only adds fields.

    With fields that this version does not know, in runs and in events.
    """
    change_journal(
        site,
        "update runs set document = json_set(document, '$.novelty', 1, '$.deployments[0].spec.novelty', json('{}'))",
        "update entries set document = json_set(document, '$.novelty', 'x') where kind not in ('note')",
    )


def no_terminal(site: Site) -> None:
    """No terminal, no input and no output.

    Started by a service manager that closes what it does not need.
    """
    for name in ("stdin", "stdout", "stderr"):
        site.monkeypatch.setattr(f"sys.{name}", None)
    for variable in ("TERM", "COLUMNS", "HOME", "LANG"):
        site.monkeypatch.delenv(variable, raising=False)


BREAKAGES: Sequence[Callable[[Site], None]] = (
    nothing, misspelt_key, no_toml, waiver_that_has_ended, no_plan, unreadable_plan, renamed_service, no_repository,
    moved_tags, no_registry, no_index, journal_of_an_earlier_version, journal_of_a_later_version, no_prometheus,
    no_terminal,
)  # fmt: skip


each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.command)


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
@each_case
def test_command_works_with(
    case: Case, breakage: Callable[[Site], None], site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    case.state(site)
    breakage(site)
    assert site.type(case.command) == 0
    case.check(site, capsys.readouterr().out)


@each_case
def test_without_the_engine_what_only_reads_works(case: Case, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is recorded that was not done: with the engine back, the same command works."""
    case.state(site)
    state = site.state
    site.is_engine_away = True
    only_reads = case.command.split()[0] in ("status", "evidence")
    assert site.type(case.command) == (0 if only_reads else 4)
    assert "the engine does not answer" in "".join(capsys.readouterr()) or case.command.startswith("evidence")
    assert site.state is state
    site.is_engine_away = False
    assert site.type(case.command) == 0
    case.check(site, "")


@each_case
def test_a_journal_that_a_later_version_has_converted_is_left_alone(
    case: Case, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    case.state(site)
    steps, content = len(site.shell.target.steps), (site.state_dir / JOURNAL_FILE).read_bytes
    change_journal(site, "pragma user_version = 99")
    converted = content()
    assert site.type(case.command) == 4
    assert "(schema 99; this version reads 1)" in (error := capsys.readouterr().err)
    assert "use the version that wrote it" in error
    assert (len(site.shell.target.steps), content()) == (steps, converted)


# ---- around the table


def test_the_documentation_has_the_table() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference" / "rollout.md").read_text(encoding="utf-8")
    names = [row.split(" | ")[0].removeprefix("| ") for row in text.splitlines() if row.startswith("| ")]
    rows = [str(breakage.__doc__).partition("\n")[0].strip().removesuffix(".") for breakage in BREAKAGES[1:]]
    assert [row for row in rows if row not in names] == []
    assert all(f"`{case.command.split(' --')[0]}`" in text for case in CASES)


def test_the_problem_of_the_plan_is_shown(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    soaking(site)
    misspelt_key(site)
    site.type("status")
    captured = capsys.readouterr()
    assert "soaking" in captured.out
    assert "py312.toml:4: deploy.readyness-delay: " in captured.err
    assert "the plan cannot be used, so the journal's record of it applies" in captured.err


@pytest.mark.parametrize("command", ["deploy --stage 1", "watch --stage 1", "sample --stage 1", "plan --stage 1"])
def test_what_goes_forward_needs_the_plan(command: str, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    soaking(site)
    misspelt_key(site)
    assert site.type(command) == 4
    assert 'perhaps you meant "readiness-delay"' in capsys.readouterr().err


def test_the_journal_is_found_beside_a_plan_that_is_gone(site: Site) -> None:
    soaking(site)
    no_plan(site)
    assert main(["rollback", "--stage", "1", str(site.shell.root / "services")]) == 0
    is_restored(site, "")


def test_a_journal_without_the_address(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Another engine than that of the deployment is never tried."""
    soaking(site)
    journal_of_an_earlier_version(site)
    misspelt_key(site)
    assert site.type("rollback --stage 1") == 4
    assert "the plan has to be corrected first" in capsys.readouterr().err
    assert site.served == NEW
