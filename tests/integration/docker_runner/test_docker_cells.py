"""The docker runner on a real engine: what a cell sees, what it may do, and what it returns."""

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pytest_py312.core.process import ExitReason
from tests.integration.docker_runner.conftest import INTERPRETERS, Bench

pytestmark = pytest.mark.docker


def test_each_interpreter_runs_its_own_cell(bench: Bench, isolation: str) -> None:
    """3.9, 3.10 and 3.12 each run in their own environment."""
    runner = bench.runner(isolation=isolation)
    for interpreter in INTERPRETERS:
        code = "import sys; say(version='%d.%d' % sys.version_info[:2], prefix=sys.prefix)"
        run = bench.run(runner, code, on=interpreter)
        assert run.exit_reason is ExitReason.EXITED, run
        assert run.exit_code == 0
        assert run.records == (
            {"version": str(interpreter), "prefix": f"/py312/cache/envs/env-{interpreter}"},
            {"event": "end"},
        )


def test_the_request_names_source_and_scratch_folders(bench: Bench, isolation: str) -> None:
    """The source can be read; the scratch folder is empty, writable and the home folder."""
    code = """if True:
        import os
        source = os.path.join(request["source"], request["folders"][0], "app.py")
        scratch = request["scratch"]
        say(text=open(source).read(), scratch=os.listdir(scratch), home=os.environ["HOME"] == scratch)
        open(os.path.join(scratch, "written"), "w").close()
    """
    run = bench.run(bench.runner(isolation=isolation), code)
    assert run.records[0] == {"text": "ANSWER = 42\n", "scratch": [], "home": True}, run
    assert run.records[-1] == {"event": "end"}


def test_variables_of_the_job_are_set(bench: Bench, isolation: str) -> None:
    """They reach the probe's environment, with a user name for a user without passwd entry."""
    code = "import getpass, os; say(mode=os.environ['APP_MODE'], user=getpass.getuser())"
    run = bench.run(bench.runner(isolation=isolation), code, variables=(("APP_MODE", "test"),))
    assert run.records[0] == {"mode": "test", "user": "app"}, run


def test_writes_outside_scratch_are_refused(bench: Bench, isolation: str) -> None:
    """Root file system, source, environment and probe are all read-only; scratch and /tmp can even execute."""
    code = """if True:
        import errno, os, subprocess, sys
        refused = []
        for place in ("/", "/usr/local", request["source"], request["source"] + "/services/user-service", sys.prefix):
            try:
                open(os.path.join(place, "written"), "w").close()
            except OSError as error:
                refused.append(error.errno in (errno.EROFS, errno.EACCES, errno.EPERM))
        try:
            open(sys.argv[0], "a").close()
        except OSError as error:
            refused.append(True)
        script = os.path.join(request["scratch"], "script")
        with open(script, "w") as file:
            file.write("#!/bin/sh\\necho it runs")
        os.chmod(script, 0o755)
        say(refused=refused, printed=subprocess.run([script], stdout=subprocess.PIPE).stdout.decode())
    """
    run = bench.run(bench.runner(isolation=isolation), code)
    assert run.records[0] == {"refused": [True] * 6, "printed": "it runs\n"}, run
    assert not list(bench.repository.rglob("written"))


def test_a_cell_has_no_privileges_and_no_network(bench: Bench, isolation: str) -> None:
    """No root, no capability, no new privileges, no network but loopback."""
    code = """if True:
        import os
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        say(root=os.getuid() == 0, capabilities=int(status["CapEff"], 16), sealed=status["NoNewPrivs"].strip(),
            network=sorted(os.listdir("/sys/class/net")))
    """
    run = bench.run(bench.runner(isolation=isolation), code)
    assert run.records[0] == {"root": False, "capabilities": 0, "sealed": "1", "network": ["lo"]}, run


def test_only_the_given_folders_are_visible(bench: Bench) -> None:
    """In its own container a cell sees no other part of the repository."""
    (bench.repository / "secrets").mkdir()
    run = bench.run(bench.runner(), "import os; say(seen=sorted(os.listdir(request['source'])))")
    assert run.records[0] == {"seen": ["services"]}, run


def test_a_folder_outside_the_repository_is_not_mounted(bench: Bench, isolation: str) -> None:
    """A symlink out of the repository is refused with a message and not followed."""
    (bench.repository / "services/escape").symlink_to("/etc")
    run = bench.run(bench.runner(isolation=isolation), "say(ran=True)", folders=("services/escape",))
    assert run.exit_reason is ExitReason.NOT_STARTED
    assert "services/escape leads out of the repository" in run.failure
    assert run.records == ()


def test_an_environment_without_interpreter_is_not_started(bench: Bench, isolation: str) -> None:
    """A broken bin/python is distinguished from a failed suite: nothing was run."""
    environment = bench.cache / "envs/broken"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python").symlink_to("/nowhere/python")
    run = bench.run(bench.runner(isolation=isolation), "say(ran=True)", environment=environment)
    assert run.exit_reason is ExitReason.NOT_STARTED, run
    assert "bin/python does not start" in run.failure


def test_large_output_does_not_block(bench: Bench, isolation: str) -> None:
    """Tens of megabytes on both streams are read, and the end is kept."""
    code = """if True:
        import sys
        for number in range(300):
            sys.stdout.write("o" * 65536)
            sys.stderr.write("e" * 65536)
        sys.stderr.flush()
        print("the last words", flush=True)
    """
    run = bench.run(bench.runner(isolation=isolation), code)
    assert run.exit_reason is ExitReason.EXITED, run.failure
    assert run.records[-1] == {"event": "end"}
    assert "the last words" in run.output_tail
    assert len(run.output_tail.encode()) <= 64 * 1024


def test_a_failing_process_keeps_its_exit_code(bench: Bench, isolation: str) -> None:
    """Exit 3 is exit 3, and the missing end record shows that the run is incomplete."""
    run = bench.run(bench.runner(isolation=isolation), "say(event='start'); raise SystemExit(3)")
    assert (run.exit_reason, run.exit_code, run.records, run.failure) == (
        ExitReason.EXITED,
        3,
        ({"event": "start"},),
        "",
    )


def test_a_worker_that_ends_does_not_affect_the_others(bench: Bench, isolation: str) -> None:
    """Workers share the run; close() removes only what that worker has started."""
    first, second = bench.runner(isolation=isolation), bench.runner(isolation=isolation)
    second._owner = replace(second._owner, pid=1, start_ticks=1)
    job = bench.job(first, "say(number=1)")
    assert first.run(job).exit_reason is ExitReason.EXITED
    second.close()
    assert first.run(job).records == ({"number": 1}, {"event": "end"})


def test_many_cells_at_once(bench: Bench, isolation: str) -> None:
    """Eight cells from four threads on three interpreters each get their own result."""
    runner = bench.runner(isolation=isolation)
    jobs = [
        bench.job(runner, f"say(number={number})", on=INTERPRETERS[number % 3], identifier=f"cell-{number}")
        for number in range(8)
    ]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(runner.run, jobs))
    assert [run.records for run in runs] == [({"number": number}, {"event": "end"}) for number in range(8)]


def test_a_cell_with_network_has_more_than_loopback(bench: Bench, isolation: str) -> None:
    """Also where cells share a container: that job gets its own."""
    run = bench.run(bench.runner(isolation=isolation), "import os; say(n=os.listdir('/sys/class/net'))", network=True)
    assert len(run.records[0]["n"]) > 1, run


def test_the_run_folder_is_private_and_empty_after_close(bench: Bench, isolation: str) -> None:
    """close() may be called twice."""
    runner = bench.runner(isolation=isolation)
    bench.run(runner, "say(ran=True)")
    (folder,) = (bench.folder / "run").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    runner.close()
    runner.close()
    assert list((bench.folder / "run").iterdir()) == []
    assert runner.run(bench.job(runner, "say(ran=True)")).exit_reason is ExitReason.CANCELLED


def test_closing_while_containers_start_leaves_none(bench: Bench, containers: Callable[[str], list[str]]) -> None:
    """The first job starts the containers of all builds; some may still be starting when the run ends."""
    runner = bench.runner(isolation="interpreter")
    for interpreter in INTERPRETERS:
        runner.find_interpreter(interpreter)

    first = bench.run(runner, "say(event='end')")
    runner.close()

    assert first.exit_reason is ExitReason.EXITED
    assert containers(bench.run_id) == []
