"""Mends the requirements of a platform with ``--py312-fix`` on a copy, and has uv alone install each mended set.

    python tests/benchmarks/mended_platform.py FOLDER [--services a,b] [--work DIR]

Prints a line for each service: what was changed, what is beyond mending and was left out, and whether uv installs the
rest on 3.12. Ends with 1 where it does not, or where the diff touches more than what blocks.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.integration.platform_proofs import Told, changed_lines, commit_all, gate, proved_by_uv, told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--services", default="")
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/py312-mended-platform"))
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
    before = told(reports[0])
    return proofs(root, before, arguments.work / "proof")


def proofs(root: Path, before: list[Told], work: Path) -> int:
    """Print what came of each service; 0 where all that was mended installs and nothing else was touched."""
    offered = {line for one in before for line in one.changes}
    beyond = set(changed_lines(root)) - offered
    for path, number in sorted(beyond):
        print(f"{path}:{number} was changed and blocks nothing")
    failed = 0
    for one in before:
        if not one.changes:
            continue
        trouble = proved_by_uv(root, one, work / one.service)
        failed += bool(trouble)
        left = f"; left out: {', '.join(sorted(one.left_out))}" if one.left_out else ""
        print(f"{one.service}: {len(one.changes)} lines{left}: {trouble or 'installs on 3.12'}", flush=True)
    mended = sum(bool(one.changes) for one in before)
    print(f"{mended - failed} of {mended} mended services install; {len(offered)} lines changed")
    return int(bool(failed or beyond))


if __name__ == "__main__":
    sys.exit(main())
