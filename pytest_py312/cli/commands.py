"""All commands of ``py312``, in the order of its help."""

from collections.abc import Mapping

from pytest_py312.cli.command import Command, RolloutCommand, argument, exactly_one
from pytest_py312.gate.reports import FORMAT_OF_ENDING
from pytest_py312.gate.reports import FORMATS as REPORT_FORMATS

INVENTORY_FORMATS = ("table", "json", "csv", "markdown")
CACHE_ACTIONS = ("dir", "size", "prune")
DEFAULT_PRUNE_DAYS = 30.0
"""Days without use after which ``py312 cache prune`` removes an entry by default."""
TEST_COMMAND = "test"
"""The command that passes arguments on to pytest."""

_LOCATION = (
    argument("path", nargs="?", default=".", metavar="PATH", help="the repository, or a folder in it"),
    argument("--plan", metavar="FILE", help="the plan file (default: searched from PATH upwards)"),
)
_CACHE_DIR = argument("--cache-dir", metavar="DIR", help="default: the user's cache folder")

_STATE_DIR = argument("--state-dir", metavar="DIR", help="folder of the journal (default: .py312 beside the plan)")
_ENVIRONMENT = argument("--env", default="test", metavar="NAME", help="the environment (default: test)")
_JSON = argument("--json", action="store_true", help="print a JSON document")
_JOURNAL = (*_LOCATION, _STATE_DIR, _ENVIRONMENT, _JSON)
"""The arguments of nearly every command of the rollout."""
_DRY_RUN = argument("--dry-run", action="store_true", help="print what would be done, without doing it")
_NO_PROGRESS = argument("--no-progress", action="store_true", help="do not show what the command does while it works")
_CHANGING = (_DRY_RUN, _NO_PROGRESS)
"""Arguments of a command that changes what serves."""
_STAGE = argument("--stage", type=int, metavar="N")
_REQUIRED_STAGE = argument("--stage", type=int, metavar="N", required=True)
_STAGE_FILTER = argument("--stage", type=int, metavar="N", help="only the services of this stage")
_SOAK = (
    argument("--duration", metavar="48h", help="duration of the soak, instead of the plan's"),
    argument("--interval", metavar="5m", help="time between samples, instead of the plan's"),
)
_ROLLBACK = (
    _STAGE,
    argument("--services", nargs="+", default=[], metavar="NAME", help="only these services (rollback)"),
    argument("--cascade", action="store_true", help="roll later stages back first"),
    argument("--keep-later", action="store_true", help="keep later stages up; their results become stale"),
    argument("--run", default="", metavar="RUN", help="an earlier run that a later one was rolled back to (rollback)"),
    argument("--reason", default="manual", metavar="TEXT", help="recorded in the journal (rollback)"),
)
_MONITOR = (
    *_LOCATION,
    _STATE_DIR,
    exactly_one(
        _STAGE, argument("--services", nargs="+", default=[], metavar="NAME", help="the stage of these services")
    ),
    *_SOAK,
    _ENVIRONMENT,
    _JSON,
    _DRY_RUN,
    argument("--accept-config-change", action="store_true", help="continue although the plan has changed"),
)
_DECISION = (
    *_LOCATION,
    _STATE_DIR,
    _REQUIRED_STAGE,
    _ENVIRONMENT,
    _JSON,
    *_CHANGING,
    argument("--reason", required=True, metavar="TEXT", help="recorded in the journal"),
)

_GATE_COMMANDS = (
    Command(
        name="init",
        help="write a first plan from what the files of the repository say; runs nothing",
        function="init_command:init",
        arguments=(
            argument("path", nargs="?", default=".", metavar="PATH", help="the root of the repository"),
            argument("--target", default="3.12", metavar="X.Y", help="the Python to move to (default: 3.12)"),
            argument("--output", metavar="FILE", help="default: py312.toml in PATH; - prints it"),
            argument("--force", action="store_true", help="replace a plan that is there"),
        ),
    ),
    Command(
        name="inventory",
        help="show the services that are found; only reads files",
        function="gate_commands:inventory",
        arguments=(
            argument("--format", default="table", metavar="|".join(INVENTORY_FORMATS), help="default: table"),
            *_LOCATION,
        ),
    ),
    Command(
        name="cache",
        help="show where the cache is and how large it is, or make it smaller",
        function="gate_commands:cache",
        arguments=(
            argument("action", nargs="?", default="size", metavar="|".join(CACHE_ACTIONS), help="default: size"),
            argument(
                "--older-than",
                metavar="DAYS",
                help=f"prune: remove what was not used for this long (default: {DEFAULT_PRUNE_DAYS:g})",
            ),
            argument(
                "--max-size", metavar="2GiB", help="prune: also remove the least recently used entries above this size"
            ),
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
            argument("--list", action="store_true", help="show the runs that are stored"),
            argument(
                "--from",
                dest="run",
                default="",
                metavar="RUN",
                help="id of a run, or its beginning (default: the last)",
            ),
            argument("--format", metavar="|".join(REPORT_FORMATS), help="default: by the ending of the file, else md"),
            argument("--output", metavar="FILE", help="default: standard output"),
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
            argument(
                "--format",
                metavar="text|md|html",
                help="default: by the ending of the file, else text",
            ),
            argument("--output", metavar="FILE", help="default: standard output"),
            argument("-v", "--verbose", action="store_true", help="show all causes"),
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
            argument("--format", metavar="text|md|json", help="default: by the ending of the file, else text"),
            argument("--output", metavar="FILE", help="default: standard output"),
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
            argument(
                "--report",
                action="append",
                default=[],
                metavar="FILE",
                help=f"write a report of the whole run; may be repeated ({', '.join(FORMAT_OF_ENDING)})",
            ),
            argument("--junitxml", metavar="FILE", help="write JUnit XML, as pytest's own option does"),
            argument("--durations", metavar="FILE", help="update the file of --py312-durations, or create it"),
            argument("--known-findings", metavar="FILE", help="the file that the parts were checked with"),
            argument(
                "--update-known-findings",
                action="store_true",
                help="remove fixed findings from it; create it if there is none",
            ),
            argument("--commit", metavar="SHA", help="refuse parts of another commit"),
            argument("--annotations", default="auto", metavar="auto|github|none", help="default: auto"),
            argument("-q", "--quiet", action="store_true", help="show only the table, what blocks, and the verdict"),
            argument("-v", "--verbose", action="store_true", help="shorten nothing"),
        ),
    ),
    Command(
        name="emit",
        help="print a workflow that checks a run in parts, on a machine each, and merges them",
        function="emit_command:emit",
        arguments=(
            argument("system", metavar="github|gitlab"),
            argument(
                "--shards",
                default="auto",
                metavar="N|auto",
                help="number of parts (default: auto, by the file of durations)",
            ),
            argument("--stage", default="", metavar="N[,N]", help="check the services of these stages only"),
            argument("--by-stage", action="store_true", help="github: a job for each stage of the plan, not for parts"),
            argument("--sarif", action="store_true", help="github: upload the findings to code scanning"),
            argument("--comment", action="store_true", help="github: write the result as a comment of a pull request"),
            argument("--durations", metavar="FILE", help="divide the run by this file of `py312 merge`"),
            argument(
                "--install", metavar="REQUIREMENT", help="what pip installs (default: this version, from the index)"
            ),
            argument("--path", default=".", metavar="PATH", help="the repository, for the stages of its plan"),
            argument("--plan", metavar="FILE", help="the plan file (default: searched from PATH upwards)"),
            argument(
                "--check", metavar="FILE", help="compare FILE with what would be printed; exit code 1 if it differs"
            ),
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
        arguments=(
            *_JOURNAL,
            *_ROLLBACK,
            *_SOAK,
            argument("--rollback", action="store_true", help="the same as py312 rollback"),
            *_CHANGING,
        ),
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
            argument(
                "--accept-new-engine", action="store_true", help="accept that the environment is now on another engine"
            ),
            argument("--start", action="store_true", help="start the stopped services that a rollback has skipped"),
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
            argument("--force", action="store_true", help="release the lock even if its holder may still be running"),
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
            argument(
                "--port",
                type=int,
                metavar="N",
                help="serve metrics on 127.0.0.1:N/metrics and a live page on 127.0.0.1:N",
            ),
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
            argument("--step", action="append", default=[], metavar="RATExSECONDS", help="200x60; may be repeated"),
            argument("--warm-up", metavar="RATExSECONDS", help="load before the steps, not judged"),
            argument("--p95", type=float, default=0.0, metavar="SECONDS", help="limit of the 95th percentile"),
            argument("--p99", type=float, default=0.0, metavar="SECONDS", help="limit of the 99th percentile"),
            argument(
                "--errors", type=float, default=0.01, metavar="SHARE", help="share of requests that may fail (0.01)"
            ),
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
                argument("--stage", type=int, metavar="N", help="write the evidence of this stage"),
                argument(
                    "--verify", metavar="FILE", help="verify that a bundle (its folder, or a file of it) is unchanged"
                ),
            ),
            argument(
                "--digest",
                metavar="SHA256",
                help="with --verify: the digest of the JSON or of the manifest that was kept elsewhere",
            ),
            argument("--dry-run", action="store_true", help="print what would be written, without writing it"),
            argument("--out", metavar="FOLDER", help="the folder to write to (default: evidence in the state folder)"),
            argument(
                "--report", metavar="FILE.json", help="include this report of the gate (--py312-report=FILE.json)"
            ),
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
            argument("--env", metavar="NAME", help="only this environment (default: all)"),
            argument(
                "--report",
                action="append",
                default=[],
                metavar="FILE.json",
                help="what the gate found, by this JSON report; may be repeated (default: the stored runs)",
            ),
            argument("--format", metavar="md|html|json", help="default: by the ending of the file, else md"),
            argument("--output", metavar="FILE", help="default: standard output"),
            _JSON,
        ),
    ),
    RolloutCommand(
        name="postmortem",
        help="write the draft of the analysis of a rollback: what was seen, timeline, blast radius, open questions",
        function="overview.postmortem_command:postmortem",
        arguments=(
            argument("stage", nargs="?", type=int, metavar="STAGE", help="the stage (default: the last rollback)"),
            argument("--stage", dest="stage_option", type=int, metavar="N", help="the same as STAGE"),
            argument("--path", default=".", metavar="PATH", help="the repository, or a folder in it"),
            argument("--plan", metavar="FILE", help="the plan file (default: searched from PATH upwards)"),
            _STATE_DIR,
            _ENVIRONMENT,
            argument("--run", default="", metavar="RUN", help="the run of this name, or whose name begins so"),
            argument("--output", metavar="FILE", help="default: standard output"),
            _JSON,
        ),
        works_from_journal=True,
    ),
    RolloutCommand(
        name="compare",
        help="compare the new version with the previous one by recorded data: control, two windows, two load tests",
        function="operations_commands:compare",
        arguments=(
            *_JOURNAL,
            argument("--stage", type=int, metavar="N", help="compare the newest run of this stage with its control"),
            argument("--services", nargs="+", default=[], metavar="NAME", help="only these services of the stage"),
            argument(
                "--metric",
                action="append",
                default=[],
                metavar="NAME",
                help="compare only this metric; may be repeated",
            ),
            argument("--before", metavar="FROM..TO", help="with --after: compare two windows of the stage's samples"),
            argument("--after", metavar="FROM..TO", help="2026-11-24T08:00..2026-11-24T20:00 (UTC without a zone)"),
            argument(
                "--old",
                nargs="+",
                default=[],
                metavar="FILE",
                help="reports of py312 load-test --json, previous version",
            ),
            argument("--new", nargs="+", default=[], metavar="FILE", help="the same, new version"),
        ),
    ),
    RolloutCommand(
        name="test-contracts",
        help="test calls and data between the old and new versions of services that rely on each other",
        function="contract_command:run_contracts",
        arguments=(
            *_JOURNAL,
            argument(
                "--stage", type=int, metavar="N", required=True, help="run the contracts of this stage's services"
            ),
            argument("--dry-run", action="store_true", help="print what would be tested, without testing it"),
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
            argument(
                "--service",
                metavar="NAME",
                help="with --fault stop: the service to stop (default: the last deployed)",
            ),
            argument("--force", action="store_true", help="run it even if the plan does not allow drills"),
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
        argument(
            "--services", nargs="+", default=[], metavar="NAME", help="only these services: names, paths or globs"
        ),
        argument(
            "--files",
            nargs="*",
            metavar="FILE",
            help="only the services that these files belong to; runs nothing if there are none",
        ),
        argument("--check", action="append", default=[], metavar="NAME", help="only this check; may be repeated"),
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
