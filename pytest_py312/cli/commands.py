"""All commands of ``py312``, in the order of its help."""

from collections.abc import Mapping

from pytest_py312.cli.command import (
    Command,
    RolloutCommand,
    argument,
    exactly_one,
    flag,
    option,
    repeated_option,
    several_values,
)
from pytest_py312.gate.reports import FORMAT_OF_ENDING
from pytest_py312.gate.reports import FORMATS as REPORT_FORMATS

INVENTORY_FORMATS = ("table", "json", "csv", "markdown")
CACHE_ACTIONS = ("dir", "size", "prune")
DEFAULT_PRUNE_DAYS = 30.0
"""Days without use after which ``py312 cache prune`` removes an entry by default."""
TEST_COMMAND = "test"
"""The command that passes arguments on to pytest."""

_PLAN = option("--plan", "FILE", "the plan file (default: searched from PATH upwards)")
_OUTPUT = option("--output", "FILE", "default: standard output")
_LOCATION = (argument("path", nargs="?", default=".", metavar="PATH", help="the repository, or a folder in it"), _PLAN)
_CACHE_DIR = option("--cache-dir", "DIR", "default: the user's cache folder")

_STATE_DIR = option("--state-dir", "DIR", "folder of the journal (default: .py312 beside the plan)")
_ENVIRONMENT = option("--env", "NAME", "the environment (default: test)", default="test")
_JSON = flag("--json", help="print a JSON document")
_JOURNAL = (*_LOCATION, _STATE_DIR, _ENVIRONMENT, _JSON)
"""The arguments of nearly every command of the rollout."""
_DRY_RUN = flag("--dry-run", help="print what would be done, without doing it")
_NO_PROGRESS = flag("--no-progress", help="do not show what the command does while it works")
_CHANGING = (_DRY_RUN, _NO_PROGRESS)
"""Arguments of a command that changes what serves."""
_STAGE = argument("--stage", type=int, metavar="N")
_REQUIRED_STAGE = argument("--stage", type=int, metavar="N", required=True)
_STAGE_FILTER = option("--stage", "N", "only the services of this stage", type=int)
_SOAK = (
    option("--duration", "48h", "duration of the soak, instead of the plan's"),
    option("--interval", "5m", "time between samples, instead of the plan's"),
)
_ROLLBACK = (
    _STAGE,
    several_values("--services", "NAME", "only these services (rollback)"),
    flag("--cascade", help="roll later stages back first"),
    flag("--keep-later", help="keep later stages up; their results become stale"),
    option("--run", "RUN", "an earlier run that a later one was rolled back to (rollback)", default=""),
    option("--reason", "TEXT", "recorded in the journal (rollback)", default="manual"),
)
_MONITOR = (
    *_LOCATION,
    _STATE_DIR,
    exactly_one(_STAGE, several_values("--services", "NAME", "the stage of these services")),
    *_SOAK,
    _ENVIRONMENT,
    _JSON,
    _DRY_RUN,
    flag("--accept-config-change", help="continue although the plan has changed"),
)
_DECISION = (
    *_LOCATION,
    _STATE_DIR,
    _REQUIRED_STAGE,
    _ENVIRONMENT,
    _JSON,
    *_CHANGING,
    option("--reason", "TEXT", "recorded in the journal", required=True),
)

_GATE_COMMANDS = (
    Command(
        name="init",
        help="write a first plan from what the files of the repository say; runs nothing",
        function="init_command:init",
        arguments=(
            argument("path", nargs="?", default=".", metavar="PATH", help="the root of the repository"),
            option("--target", "X.Y", "the Python to move to (default: 3.12)", default="3.12"),
            option("--output", "FILE", "default: py312.toml in PATH; - prints it"),
            flag("--force", help="replace a plan that is there"),
        ),
    ),
    Command(
        name="inventory",
        help="show the services that are found; only reads files",
        function="gate_commands:inventory",
        arguments=(option("--format", "|".join(INVENTORY_FORMATS), "default: table", default="table"), *_LOCATION),
    ),
    Command(
        name="cache",
        help="show where the cache is and how large it is, or make it smaller",
        function="gate_commands:cache",
        arguments=(
            argument("action", nargs="?", default="size", metavar="|".join(CACHE_ACTIONS), help="default: size"),
            option(
                "--older-than",
                "DAYS",
                f"prune: remove what was not used for this long (default: {DEFAULT_PRUNE_DAYS:g})",
            ),
            option("--max-size", "2GiB", "prune: also remove the least recently used entries above this size"),
            _CACHE_DIR,
        ),
    ),
    Command(
        name="interpreters",
        help="show which of the plan's Pythons this machine has",
        function="gate_commands:interpreters",
        arguments=(*_LOCATION, _CACHE_DIR),
    ),
    Command(
        name="report",
        help="write a report of an earlier run again; runs nothing",
        function="report_command:report",
        arguments=(
            *_LOCATION,
            flag("--list", help="show the runs that are stored"),
            option("--from", "RUN", "id of a run, or its beginning (default: the last)", dest="run", default=""),
            option("--format", "|".join(REPORT_FORMATS), "default: by the ending of the file, else md"),
            _OUTPUT,
        ),
    ),
)

_HISTORY_COMMANDS = (
    Command(
        name="diff",
        help="show what has changed between two JSON reports: newly ready, newly blocked, and why",
        function="overview.history_commands:diff",
        arguments=(
            argument("old", metavar="OLD.json", help="the report of before"),
            argument("new", metavar="NEW.json", help="the report of now"),
            option("--format", "text|md|html", "default: by the ending of the file, else text"),
            _OUTPUT,
            flag("-v", "--verbose", help="show all causes"),
        ),
    ),
    Command(
        name="history",
        help="show the counts of each run over time, from the stored runs or from JSON reports",
        function="overview.history_commands:history",
        arguments=(
            argument(
                "path",
                nargs="?",
                default=".",
                metavar="PATH",
                help="the repository, its state folder, or a folder with JSON reports (default: here)",
            ),
            option("--format", "text|md|json", "default: by the ending of the file, else text"),
            _OUTPUT,
        ),
    ),
)

_SHARD_COMMANDS = (
    Command(
        name="merge",
        help="join the reports of the parts of a run (pytest --py312-shard=K/N) to one verdict",
        function="merge_command:merge_parts",
        arguments=(
            argument("documents", nargs="+", metavar="FILE", help="the JSON report of each part"),
            repeated_option(
                "--report", "FILE", f"write a report of the whole run; may be repeated ({', '.join(FORMAT_OF_ENDING)})"
            ),
            option("--junitxml", "FILE", "write JUnit XML, as pytest's own option does"),
            option("--durations", "FILE", "update the file of --py312-durations, or create it"),
            option("--known-findings", "FILE", "the file that the parts were checked with"),
            flag("--update-known-findings", help="remove fixed findings from it; create it if there is none"),
            option("--commit", "SHA", "refuse parts of another commit"),
            option("--annotations", "auto|github|none", "default: auto", default="auto"),
            flag("-q", "--quiet", help="show only the table, what blocks, and the verdict"),
            flag("-v", "--verbose", help="shorten nothing"),
        ),
    ),
    Command(
        name="emit",
        help="print a workflow that checks a run in parts, on a machine each, and merges them",
        function="emit_command:emit",
        arguments=(
            argument("system", metavar="github|gitlab"),
            option("--shards", "N|auto", "number of parts (default: auto, by the file of durations)", default="auto"),
            option("--stage", "N[,N]", "check the services of these stages only", default=""),
            flag("--by-stage", help="github: a job for each stage of the plan, not for parts"),
            flag("--sarif", help="github: upload the findings to code scanning"),
            flag("--comment", help="github: write the result as a comment of a pull request"),
            option("--durations", "FILE", "divide the run by this file of `py312 merge`"),
            option("--install", "REQUIREMENT", "what pip installs (default: this version, from the index)"),
            option("--path", "PATH", "the repository, for the stages of its plan", default="."),
            _PLAN,
            option("--check", "FILE", "compare FILE with what would be printed; exit code 1 if it differs"),
        ),
    ),
)

_DEPLOYMENT_COMMANDS = (
    RolloutCommand(
        name="plan",
        help="show how a stage would be deployed: order, containers, images; changes nothing",
        function="rollout_commands:show_plan",
        arguments=(*_JOURNAL, _REQUIRED_STAGE),
    ),
    RolloutCommand(
        name="deploy",
        help="deploy a stage up to the start of its soak; roll it back if that fails",
        function="rollout_commands:deploy",
        arguments=(*_JOURNAL, *_ROLLBACK, *_SOAK, flag("--rollback", help="the same as py312 rollback"), *_CHANGING),
    ),
    RolloutCommand(
        name="status",
        help="show the stages of an environment and the holder of its lock",
        function="rollout_commands:status",
        arguments=_JOURNAL,
        works_from_journal=True,
    ),
    RolloutCommand(
        name="recover",
        help="finish the work of a run that was killed",
        function="rollout_commands:recover",
        arguments=(
            *_JOURNAL,
            flag("--accept-new-engine", help="accept that the environment is now on another engine"),
            flag("--start", help="start the stopped services that a rollback has skipped"),
            *_CHANGING,
        ),
        works_from_journal=True,
    ),
    RolloutCommand(
        name="rollback",
        help="roll a stage, or some of its services, back to the previous version",
        function="rollout_commands:rollback",
        arguments=(*_JOURNAL, *_ROLLBACK, *_CHANGING),
        works_from_journal=True,
    ),
    RolloutCommand(
        name="unlock",
        help="release the lock of an environment whose holder is dead",
        function="rollout_commands:unlock",
        arguments=(
            *_JOURNAL,
            flag("--force", help="release the lock even if its holder may still be running"),
            _DRY_RUN,
        ),
        works_from_journal=True,
    ),
)

_MONITOR_COMMANDS = (
    RolloutCommand(
        name="watch",
        help="monitor a deployed stage until its soak is decided",
        function="monitor_commands:watch",
        arguments=(
            *_MONITOR,
            option("--port", "N", "serve metrics on 127.0.0.1:N/metrics and a live page on 127.0.0.1:N", type=int),
        ),
    ),
    RolloutCommand(
        name="sample",
        help="take the sample that is due and exit; for cron, timers and scheduled pipelines",
        function="monitor_commands:watch",
        arguments=(*_MONITOR, _NO_PROGRESS),
    ),
    RolloutCommand(
        name="promote",
        help="accept a stage that waits for a decision",
        function="monitor_commands:decide",
        arguments=_DECISION,
    ),
    RolloutCommand(
        name="abort",
        help="roll back a stage that waits for a decision",
        function="monitor_commands:decide",
        arguments=_DECISION,
        works_from_journal=True,
    ),
    RolloutCommand(
        name="load-test",
        help="send requests at a fixed rate (open loop) and check the latencies",
        function="monitor_commands:load_test",
        arguments=(
            argument("url", metavar="URL"),
            repeated_option("--step", "RATExSECONDS", "200x60; may be repeated"),
            option("--warm-up", "RATExSECONDS", "load before the steps, not judged"),
            option("--p95", "SECONDS", "limit of the 95th percentile", type=float, default=0.0),
            option("--p99", "SECONDS", "limit of the 99th percentile", type=float, default=0.0),
            option("--errors", "SHARE", "share of requests that may fail (0.01)", type=float, default=0.01),
            *_LOCATION,
            _STATE_DIR,
            _JSON,
            _DRY_RUN,
        ),
    ),
    RolloutCommand(
        name="export",
        help="print alert rules for Prometheus, or a dashboard for Grafana",
        function="monitor_commands:export",
        arguments=(
            argument("document", choices=("alert-rules", "dashboard"), help="what to print"),
            *_LOCATION,
            _STATE_DIR,
            _JSON,
        ),
    ),
)

_OPERATIONS_COMMANDS = (
    RolloutCommand(
        name="doctor",
        help="check whether a rollout would work here: engine, clocks, disks, journal, images; changes nothing",
        function="operations_commands:doctor",
        arguments=(*_JOURNAL, _STAGE_FILTER),
    ),
    RolloutCommand(
        name="evidence",
        help="write the journal's record of a stage for an auditor, or verify such a record",
        function="operations_commands:evidence",
        arguments=(
            *_JOURNAL,
            exactly_one(
                option("--stage", "N", "write the evidence of this stage", type=int),
                option("--verify", "FILE", "verify that a bundle (its folder, or a file of it) is unchanged"),
            ),
            option(
                "--digest", "SHA256", "with --verify: the digest of the JSON or of the manifest that was kept elsewhere"
            ),
            flag("--dry-run", help="print what would be written, without writing it"),
            option("--out", "FOLDER", "the folder to write to (default: evidence in the state folder)"),
            option("--report", "FILE.json", "include this report of the gate (--py312-report=FILE.json)"),
        ),
        works_from_journal=True,
    ),
    RolloutCommand(
        name="roadmap",
        help="show the whole migration: stages, what the gate found, dates, states, the next step, what is left",
        function="overview.roadmap_command:roadmap",
        arguments=(
            *_LOCATION,
            _STATE_DIR,
            option("--env", "NAME", "only this environment (default: all)"),
            repeated_option(
                "--report",
                "FILE.json",
                "what the gate found, by this JSON report; may be repeated (default: the stored runs)",
            ),
            option("--format", "md|html|json", "default: by the ending of the file, else md"),
            _OUTPUT,
            _JSON,
        ),
    ),
    RolloutCommand(
        name="postmortem",
        help="write the draft of the analysis of a rollback: what was seen, timeline, blast radius, open questions",
        function="overview.postmortem_command:postmortem",
        arguments=(
            argument("stage", nargs="?", type=int, metavar="STAGE", help="the stage (default: the last rollback)"),
            option("--stage", "N", "the same as STAGE", dest="stage_option", type=int),
            option("--path", "PATH", "the repository, or a folder in it", default="."),
            _PLAN,
            _STATE_DIR,
            _ENVIRONMENT,
            option("--run", "RUN", "the run of this name, or whose name begins so", default=""),
            _OUTPUT,
            _JSON,
        ),
        works_from_journal=True,
    ),
    RolloutCommand(
        name="compare",
        help="compare the new version with the previous one by recorded data: control, two windows, two load tests",
        function="compare_command:compare",
        arguments=(
            *_JOURNAL,
            option("--stage", "N", "compare the newest run of this stage with its control", type=int),
            several_values("--services", "NAME", "only these services of the stage"),
            repeated_option("--metric", "NAME", "compare only this metric; may be repeated"),
            option("--before", "FROM..TO", "with --after: compare two windows of the stage's samples"),
            option("--after", "FROM..TO", "2026-11-24T08:00..2026-11-24T20:00 (UTC without a zone)"),
            several_values("--old", "FILE", "reports of py312 load-test --json, previous version"),
            several_values("--new", "FILE", "the same, new version"),
        ),
    ),
    RolloutCommand(
        name="test-contracts",
        help="test calls and data between the old and new versions of services that rely on each other",
        function="contract_command:run_contracts",
        arguments=(
            *_JOURNAL,
            option("--stage", "N", "run the contracts of this stage's services", type=int, required=True),
            flag("--dry-run", help="print what would be tested, without testing it"),
        ),
    ),
    RolloutCommand(
        name="drill",
        help="deploy a stage and roll it back on purpose, where the plan allows it",
        function="operations_commands:drill",
        arguments=(
            *_JOURNAL,
            _REQUIRED_STAGE,
            argument(
                "--fault",
                choices=("none", "stop"),
                default="none",
                help="none: request the rollback (default); stop: stop a new container, which must be detected",
            ),
            option("--service", "NAME", "with --fault stop: the service to stop (default: the last deployed)"),
            flag("--force", help="run it even if the plan does not allow drills"),
            *_CHANGING,
        ),
    ),
)

_TEST = Command(
    name=TEST_COMMAND,
    help="run the gate, as `pytest --py312`; arguments after -- are passed to pytest",
    function="gate_commands:test",
    arguments=(
        *_LOCATION,
        several_values("--services", "NAME", "only these services: names, paths or globs"),
        option(
            "--files", "FILE", "only the services that these files belong to; runs nothing if there are none", nargs="*"
        ),
        repeated_option("--check", "NAME", "only this check; may be repeated"),
        _STAGE_FILTER,
    ),
)

_GROUPS = (
    _GATE_COMMANDS,
    _HISTORY_COMMANDS,
    _SHARD_COMMANDS,
    _DEPLOYMENT_COMMANDS,
    _MONITOR_COMMANDS,
    _OPERATIONS_COMMANDS,
    (_TEST,),
)

COMMANDS: Mapping[str, Command] = {command.name: command for group in _GROUPS for command in group}
"""Each command by its name."""
