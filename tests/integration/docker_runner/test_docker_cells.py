"""The docker runner on a real engine: what a cell sees, what it may do, and what comes back."""

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pytest_py312.core.process import Ended
from tests.integration.docker_runner.conftest import INTERPRETERS, Bench

pytestmark = pytest.mark.docker


def test_each_interpreter_runs_its_own_cell(bench: Bench, isolation: str) -> None:
    """3.9, 3.10 and 3.12 each answer as themselves, from the cell's environment."""
    runner = bench.runner(isolation=isolation)
    for interpreter in INTERPRETERS:
        code = "import sys; say(version='%d.%d' % sys.version_info[:2], prefix=sys.prefix)"
        run = bench.run(runner, code, on=interpreter)
        assert run.ended is Ended.EXITED, run
        assert run.exit_code == 0
        assert run.records == (
            {"version": str(interpreter), "prefix": f"/py312/cache/envs/env-{interpreter}"},
            {"event": "end"},
        )


def test_the_probe_learns_where_source_and_scratch_are(bench: Bench, isolation: str) -> None:
    """The request names the source, read there, and an empty writable scratch, which is also home."""
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
    """They reach the probe's environment, beside a name for who has no passwd entry."""
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
        say(refused=refused, said=subprocess.run([script], stdout=subprocess.PIPE).stdout.decode())
    """
    run = bench.run(bench.runner(isolation=isolation), code)
    assert run.records[0] == {"refused": [True] * 6, "said": "it runs\n"}, run
    assert not list(bench.repository.rglob("written"))


def test_a_cell_is_nobody_and_alone(bench: Bench, isolation: str) -> None:
    """No root, no capability, no new privileges, no network but loopback."""
    code = """if True:
        import os
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        say(root=os.getuid() == 0, capabilities=int(status["CapEff"], 16), sealed=status["NoNewPrivs"].strip(),
            network=sorted(os.listdir("/sys/class/net")))
    """
    run = bench.run(bench.runner(isolation=isolation), code)
    assert run.records[0] == {"root": False, "capabilities": 0, "sealed": "1", "network": ["lo"]}, run


def test_only_the_named_folders_are_seen(bench: Bench) -> None:
    """In a container of its own a cell sees nothing of the repository that it was not given."""
    (bench.repository / "secrets").mkdir()
    run = bench.run(bench.runner(), "import os; say(seen=sorted(os.listdir(request['source'])))")
    assert run.records[0] == {"seen": ["services"]}, run


def test_a_folder_that_leads_outside_is_not_mounted(bench: Bench, isolation: str) -> None:
    """A symlink out of the repository is refused with a sentence, not followed."""
    (bench.repository / "services/escape").symlink_to("/etc")
    run = bench.run(bench.runner(isolation=isolation), "say(ran=True)", folders=("services/escape",))
    assert run.ended is Ended.NOT_STARTED
    assert "services/escape leads out of the repository" in run.trouble
    assert run.records == ()


def test_an_environment_without_interpreter_is_not_started(bench: Bench, isolation: str) -> None:
    """A broken bin/python is told apart from a suite that failed: nothing was run."""
    environment = bench.cache / "envs/broken"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python").symlink_to("/nowhere/python")
    run = bench.run(bench.runner(isolation=isolation), "say(ran=True)", environment=environment)
    assert run.ended is Ended.NOT_STARTED, run
    assert "bin/python does not start" in run.trouble


def test_a_flood_of_output_ends_well(bench: Bench, isolation: str) -> None:
    """Tens of megabytes on both streams: all read, the end kept, nothing blocked."""
    code = """if True:
        import sys
        for number in range(300):
            sys.stdout.write("o" * 65536)
            sys.stderr.write("e" * 65536)
        sys.stderr.flush()
        print("the last words", flush=True)
    """
    run = bench.run(bench.runner(isolation=isolation), code)
    assert run.ended is Ended.EXITED, run.trouble
    assert run.records[-1] == {"event": "end"}
    assert "the last words" in run.output_tail
    assert len(run.output_tail.encode()) <= 64 * 1024


def test_a_failing_process_keeps_its_exit_code(bench: Bench, isolation: str) -> None:
    """Exit 3 is exit 3, and the missing end record shows that the run is incomplete."""
    run = bench.run(bench.runner(isolation=isolation), "say(event='start'); raise SystemExit(3)")
    assert (run.ended, run.exit_code, run.records, run.trouble) == (Ended.EXITED, 3, ({"event": "start"},), "")


def test_a_worker_that_ends_leaves_the_others_alone(bench: Bench, isolation: str) -> None:
    """Workers share the run; each one's close() removes only what that worker has started."""
    first, second = bench.runner(isolation=isolation), bench.runner(isolation=isolation)
    second._owner = replace(second._owner, pid=1, started=1)
    job = bench.job(first, "say(number=1)")
    assert first.run(job).ended is Ended.EXITED
    second.close()
    assert first.run(job).records == ({"number": 1}, {"event": "end"})


def test_many_cells_at_once(bench: Bench, isolation: str) -> None:
    """Eight cells from four threads on three interpreters: each gets its own answer."""
    runner = bench.runner(isolation=isolation)
    jobs = [
        bench.job(runner, f"say(number={number})", on=INTERPRETERS[number % 3], identifier=f"cell-{number}")
        for number in range(8)
    ]
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(runner.run, jobs))
    assert [run.records for run in runs] == [({"number": number}, {"event": "end"}) for number in range(8)]


def test_a_cell_with_network_has_more_than_loopback(bench: Bench, isolation: str) -> None:
    """Also where cells share a container: that job gets one of its own."""
    run = bench.run(bench.runner(isolation=isolation), "import os; say(n=os.listdir('/sys/class/net'))", network=True)
    assert len(run.records[0]["n"]) > 1, run


def test_what_the_run_leaves_on_this_machine(bench: Bench, isolation: str) -> None:
    """The run's folder is private while it lasts, and empty after close(), which may be called twice."""
    runner = bench.runner(isolation=isolation)
    bench.run(runner, "say(ran=True)")
    (folder,) = (bench.folder / "run").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    runner.close()
    runner.close()
    assert list((bench.folder / "run").iterdir()) == []
    assert runner.run(bench.job(runner, "say(ran=True)")).ended is Ended.CANCELLED


def test_the_first_job_starts_the_containers_of_all_builds_and_an_end_meanwhile_leaves_none(
    bench: Bench, containers: Callable[[str], list[str]]
) -> None:
    """Whether they run already or are just being started when the run ends."""
    runner = bench.runner(isolation="interpreter")
    for interpreter in INTERPRETERS:
        runner.find(interpreter)

    first = bench.run(runner, "say(event='end')")
    runner.close()

    assert first.ended is Ended.EXITED
    assert containers(bench.run_id) == []
