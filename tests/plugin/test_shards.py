"""One part of a run: what is collected, with which options it can be combined, and what its document says."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.gate.history.stored_runs import unpack_report
from tests.plugin.gate_helpers import IDS, PLAN, Faked
from tests.plugin.test_mistakes import mistake
from tests.support.fakes import service_tree

AUTH, USER = IDS[:4], IDS[4:]
LARGE_FLEET = {
    "py312.toml": 'target = "3.12"\ninterpreters = ["3.10", "3.12"]\nservices = ["services/*"]\n',
    **{f"services/s{number}/Dockerfile": "FROM python:3.10-slim\n" for number in range(7)},
    **{f"services/s{number}/requirements.txt": "" for number in range(7)},
    **{f"services/s{number}/tests/test_{file}.py": "" for number in range(7) for file in range(number)},
}


def document(faked: Faked, name: str = "shard.json") -> Any:
    return json.loads((faked.root / name).read_text(encoding="utf-8"))


def run_part(faked: Faked, part: str, *arguments: str) -> pytest.RunResult:
    return faked.bare(f"--py312-shard={part}", "--py312-report=shard.json", *arguments)


@pytest.mark.parametrize("selection", [[], ["-k", "suite"], ["-m", "py312_dependencies"], ["--py312-python=3.12"]])
@pytest.mark.parametrize("parts", [1, 2, 3, 9])
def test_each_item_is_in_one_part(faked: Faked, parts: int, selection: list[str]) -> None:
    """And a service stays on one machine."""
    service_tree(faked.root, LARGE_FLEET)
    everything = faked.ids(*selection)

    listed = [faked.ids(f"--py312-shard={part}/{parts}", *selection) for part in range(1, parts + 1)]

    assert sorted(item for part in listed for item in part) == sorted(everything)
    services = [{item.partition("::")[0] for item in part} for part in listed]
    assert sum(map(len, services)) == len({item.partition("::")[0] for item in everything})


@pytest.mark.parametrize("part", [1, 2])
def test_only_the_items_of_the_part_run(faked: Faked, part: int) -> None:
    result = run_part(faked, f"{part}/2", "-v")

    result.assert_outcomes(passed=len((USER, AUTH)[part - 1]), deselected=len((AUTH, USER)[part - 1]))
    assert [outcome["nodeid"] for outcome in document(faked)["outcomes"]] == (USER, AUTH)[part - 1]
    result.stdout.fnmatch_lines([f"*shard: part {part} of 2*", f"*shard: part {part} of 2: 1 of 2 services, *"])


def test_recorded_durations_decide_the_parts(faked: Faked) -> None:
    times: dict[str, dict[str, float]] = {}
    for nodeid in IDS:
        service, _, name = nodeid.removeprefix("services/").partition("::")
        times.setdefault(service, {})[name] = 90.0 if service == "auth-service" else 1.0
    (faked.root / "times.json").write_text(json.dumps({"schema": 1, "services": times}))

    assert faked.ids("--py312-shard=1/2") == USER
    assert faked.ids("--py312-shard=1/2", "--py312-durations=times.json") == AUTH
    faked.root.joinpath("pytest.ini").write_text("[pytest]\npy312_durations = times.json\n")
    assert faked.ids("--py312-shard=1/2") == AUTH
    assert faked.ids() == IDS


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--py312-stage=2"], USER),
        (["--py312-services=auth-*"], AUTH),
        (["services/user-service::py3.12"], USER[4:]),
        (["--deselect", "services/auth-service"], USER),
        (["--ff"], USER),
    ],
)
def test_other_selections_are_divided(faked: Faked, options: list[str], expected: list[str]) -> None:
    """What they leave is divided, whichever of the two parts it falls into."""
    assert faked.ids("--py312-shard=1/2", *options) == expected


def test_another_order_of_the_items_changes_nothing(faked: Faked) -> None:
    """As plugins for a random one have it, which differs from machine to machine."""
    faked.pytester.makepyfile(turns="def pytest_collection_modifyitems(items):\n    items.reverse()\n")
    faked.pytester.syspathinsert()
    run_part(faked, "1/2")
    ordered = document(faked)
    run_part(faked, "1/2", "-p", "turns")
    turned = document(faked)

    assert [outcome["nodeid"] for outcome in turned["outcomes"]] == USER
    assert faked.asked() == [*faked_names(USER), *reversed(faked_names(USER))]
    assert turned["shard"]["units"] == ordered["shard"]["units"]


def faked_names(ids: list[str]) -> list[str]:
    """Return the names by which the fake gate notes what it was asked."""
    return [nodeid.removeprefix("services/").replace("::", "-") for nodeid in ids]


def test_a_part_for_which_nothing_is_left_has_not_failed(faked: Faked) -> None:
    """A matrix of CI has a fixed number of jobs; what they have in common is judged when they are merged."""
    result = run_part(faked, "9/9")

    assert result.ret == pytest.ExitCode.OK
    assert document(faked)["outcomes"] == []
    assert faked.run("--py312-shard=9/9", "--collect-only").ret == pytest.ExitCode.OK


def test_nothing_at_all_is_no_success_of_a_part(faked: Faked) -> None:
    assert run_part(faked, "1/2", "-k", "nothing").ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--py312-shard=2"], "--py312-shard=2: expected a part and the number of parts, as in --py312-shard=2/8"),
        (["--py312-shard=a/b"], "expected a part and the number of parts"),
        (["--py312-shard=3/2"], "there is no part 3 of 2"),
        (["--py312-shard=0/2"], "there is no part 0 of 2: the first part is 1"),
        (["--py312-shard=1/0"], "a run has from 1 to 10000 parts"),
        (["--py312-shard=1/99999"], "a run has from 1 to 10000 parts"),
        (["--py312-shards=1/2"], 'perhaps you meant "--py312-shard"'),
        (["--py312-durations=times.json"], "combine it with --py312-shard=K/N"),
        (["--py312-shard=1/2", "--py312-durations=no.json"], "`py312 merge --durations=no.json` writes it"),
        (["--py312-shard=1/2", "--py312-durations=py312.toml"], "py312.toml:2: this is not JSON"),
        (["--py312-shard=1/2", "--lf"], "--lf and --py312-shard=1/2 cannot be combined, as what failed last"),
        (["--py312-shard=1/2", "--sw"], "--sw and --py312-shard=1/2 cannot be combined"),
        (["--py312-shard=1/2", "--sw-skip"], "--sw-skip and --py312-shard=1/2 cannot be combined"),
        (["--py312-shard=1/2", "--py312-fix"], "--py312-fix changes what is proven by all checks"),
        (["--py312-shard=1/2", "--py312-diff"], "--py312-diff changes what is proven by all checks"),
        (["--py312-shard=1/2", "--py312-deploy=test", "--py312-stage=1"], "deploy with `py312 deploy` once"),
        (
            ["--py312-shard=1/2", "--py312-known-findings=known.json", "--py312-update-known-findings"],
            "give --update-known-findings to `py312 merge`",
        ),
        (["--py312-shard=1/2"], "a part without a document cannot be merged: add --py312-report=shard-1.json"),
    ],
)
def test_what_cannot_be_combined_is_refused(faked: Faked, options: list[str], says: str) -> None:
    faked.root.joinpath("py312.toml").write_text(f'{PLAN}\n[deploy]\nimage = "registry/{{service}}:{{version}}"\n')
    assert says in mistake(faked, *options)


def test_the_document_says_what_it_can_be_compared_by(faked: Faked) -> None:
    run_part(faked, "1/2", "-k", "suite")

    shard = document(faked)["shard"]
    assert (shard["part"], shard["parts"]) == (1, 2)
    assert shard["items"] == [["py3.10::suite", "py3.12::suite"], ["py3.9::suite", "py3.10::suite", "py3.12::suite"]]
    assert shard["units"] == [["auth-service", 2, 0], ["user-service", 1, 1]]
    assert shard["identity"]["options"]["-k"] == "suite"
    assert shard["identity"]["commit"] == ""
    assert [path for path, _ in shard["identity"]["changes"]] == ["."]


def test_a_plugin_that_could_not_take_the_report_is_named_in_what_is_merged(faked: Faked) -> None:
    (faked.root / "conftest.py").write_text("def pytest_py312_report(report):\n    return 1 / 0\n", "utf-8")
    assert run_part(faked, "1/2").ret == pytest.ExitCode.TESTS_FAILED

    merged = unpack_report(base64.b64decode(document(faked)["shard"]["record"]))
    assert [text.partition(":")[0] for text in merged.objections] == ["pytest_py312_report of conftest.py failed"]
    assert merged.exit_status == pytest.ExitCode.TESTS_FAILED


def test_the_same_inputs_have_the_same_identity(faked: Faked) -> None:
    """The options that change nothing about the outcomes may differ from one machine to another."""
    run_part(faked, "1/2")
    first = document(faked)["shard"]["identity"]
    run_part(faked, "2/2", "--py312-jobs=3", "-v", "--py312-no-cache", "--py312-annotations=none")

    assert document(faked)["shard"]["identity"] == first


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (["-k", "suite"], "options"),
        (["--py312-resolver=pip-tools", "--py312-isolation=interpreter"], "options"),
        (["--py312-durations=times.json"], "durations"),
    ],
)
def test_another_input_has_another_identity(faked: Faked, change: list[str], key: str) -> None:
    (faked.root / "times.json").write_text('{"schema": 1, "services": {}}')
    run_part(faked, "1/2")
    first = document(faked)["shard"]["identity"]
    run_part(faked, "1/2", *change)

    second = document(faked)["shard"]["identity"]
    assert {name for name in first if first[name] != second[name]} == {key}


def test_a_part_that_is_stopped_says_so(faked: Faked, tmp_path: Path) -> None:
    """Its document does not look whole."""
    faked.gate.answers["user-service-py3.9-suite"] = ("failed", "1 test fails")
    run_part(faked, "1/2", "-x")

    assert document(faked)["complete"] is False
    assert len(document(faked)["shard"]["units"]) == 2


def test_a_part_that_cannot_collect_has_no_items(faked: Faked) -> None:
    """It was stopped before they were known."""
    faked.pytester.makepyfile(stops="def pytest_collection_modifyitems(items):\n    raise KeyboardInterrupt\n")
    faked.pytester.syspathinsert()
    run_part(faked, "1/2", "-p", "stops")

    shard = document(faked)["shard"]
    assert (shard["units"], shard["identity"]) == ([], None)
    assert document(faked)["complete"] is False


def test_a_part_that_cannot_begin_leaves_no_document_of_an_earlier_run(faked: Faked) -> None:
    """It would be merged in its place."""
    run_part(faked, "1/2")
    faked.bare("--py312-shard=1/2", "--py312-report=shard.json", "--collect-only")
    assert document(faked)["complete"] is True

    refused = run_part(faked, "1/2", "--py312-known-findings=nowhere.json")

    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert not (faked.root / "shard.json").exists()


def test_recorded_findings_are_applied_and_counted_when_the_parts_are_merged(faked: Faked) -> None:
    entry = {
        "code": "PY202", "service": "user-service", "path": "app.py", "names": ["imp"], "message": "gone",
        "fingerprint": "0123456789abcdef",
    }  # fmt: skip
    (faked.root / "known.json").write_text(json.dumps({"schema": 1, "findings": [entry]}))

    undivided = faked.run("--py312-known-findings=known.json").stdout.str()
    part = run_part(faked, "1/2", "--py312-known-findings=known.json").stdout.str()

    assert "0 of 1 recorded finding in" in undivided
    assert "0 of 1 recorded finding in" in part
    assert "no longer occur" not in part
