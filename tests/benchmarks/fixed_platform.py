"""Fixes the requirements of a platform with ``--py312-fix`` on a copy, and installs each fixed set with uv alone.

    python tests/benchmarks/fixed_platform.py FOLDER [--services a,b] [--work DIR]

Prints a line for each service: what was changed, what has no fix and was left out, and whether uv installs the
rest on 3.12. Exits with 1 if it does not, or if the diff changes more than what blocks.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.integration.platform_fixes import (
    ServiceReport,
    changed_lines,
    commit_all,
    gate,
    install_with_uv,
    read_report,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--services", default="")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/py312-fixed-platform"))
    arguments = parser.parse_args()
    root, cache = arguments.work / "platform", arguments.work / "cache"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(arguments.folder, root, copy_function=shutil.copy, ignore=shutil.ignore_patterns(".git", ".py312"))
    for folder in (root, *root.rglob("*/")):
        folder.chmod(0o755)
    commit_all(root)
    chosen = [f"--py312-services={arguments.services}"] if arguments.services else []
    reports = [arguments.work / name for name in ("before.json", "after.json")]
    for report, more in zip(reports, ([], ["--py312-fix"]), strict=True):
        started = time.perf_counter()
        report.unlink(missing_ok=True)
        status = gate(root, cache, report, *chosen, *more)
        print(f"the gate {' '.join(more)} ended with {status} in {time.perf_counter() - started:.0f} s", flush=True)
    reports_before = read_report(reports[0])
    return verify_fixes(root, reports_before, arguments.work / "proof")


def verify_fixes(root: Path, reports: list[ServiceReport], work: Path) -> int:
    """Print the result of each service; return 0 if all fixed sets install and nothing else was changed."""
    offered = {line for report in reports for line in report.changes}
    beyond = set(changed_lines(root)) - offered
    for path, number in sorted(beyond):
        print(f"{path}:{number} was changed and blocks nothing")
    failed = 0
    for report in reports:
        if not report.changes:
            continue
        problem = install_with_uv(root, report, work / report.service)
        failed += bool(problem)
        left = f"; left out: {', '.join(sorted(report.left_out))}" if report.left_out else ""
        print(f"{report.service}: {len(report.changes)} lines{left}: {problem or 'installs on 3.12'}", flush=True)
    fixed = sum(bool(report.changes) for report in reports)
    print(f"{fixed - failed} of {fixed} fixed services install; {len(offered)} lines changed")
    return int(bool(failed or beyond))


if __name__ == "__main__":
    sys.exit(main())
