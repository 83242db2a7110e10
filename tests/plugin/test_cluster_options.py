"""``--py312-cluster``: what it cannot be combined with."""

import pytest

from tests.plugin.gate_helpers import Faked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--py312-cluster=scheduler:8786"], "expected the address of a Dask scheduler"),
        (["--py312-cluster=local:0"], "has from 1 to 256 workers"),
        (["--py312-cluster=local:2", "-n", "2"], "remove -n and --dist"),
        (["--py312-cluster=local:2", "--py312-shard=1/2", "--py312-report=a.json"], "remove one of them"),
        (["--py312-cluster=local:2", "--py312-diff"], "--py312-diff tries its changes with the interpreters of this"),
        (["--py312-cluster=local:2", "--py312-fix"], "--py312-fix tries its changes with the interpreters of this"),
        (["--py312-cluster=local:2", "--py312-verify-rollback"], "run it without --py312-cluster=local:2"),
    ],
)
def test_what_cannot_be_combined_is_refused(faked: Faked, options: list[str], message: str) -> None:
    result = faked.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{message}*"])


def test_items_are_listed_without_a_cluster(faked: Faked) -> None:
    """``--collect-only`` connects to nothing."""
    assert faked.ids("--py312-cluster=tcp://127.0.0.1:1") == faked.ids()


def test_a_scheduler_that_does_not_answer_is_an_error(faked: Faked) -> None:
    result = faked.run("--py312-cluster=tcp://127.0.0.1:1", "--py312-runner=local")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--py312-cluster=tcp://127.0.0.1:1: no scheduler of Dask answers there" in result.stderr.str()
