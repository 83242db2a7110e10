"""All twenty services of the example, fixed, through all four stages: one run of pytest for each, on a real engine.

    python -m tests.integration.rollouts.whole_fleet_rollout

First unchanged, where only the first stage is proven and nothing else is deployed; then with the fixes for what
TROUBLE.md lists. Prints the time of each stage, and what serves. Takes some minutes.
"""

import tempfile
import time
from pathlib import Path

from tests.integration.rollouts.example_fleet import example_fleet, example_stages

FIXES = (
    ("user-service/tests/test_profiles.py", "assertEquals(", "assertEqual("),
    ("user-service/tests/test_profiles.py", "assertRegexpMatches(", "assertRegex("),
    ("user-service/tests/test_profiles.py", "assertNotRegexpMatches(", "assertNotRegex("),
    ("medical-service/requirements.txt", "PyYAML==6.0\n", "PyYAML==6.0.1\n"),
    ("agent-services/laoke-service/requirements.txt", "aioredis==2.0.1", "redis==5.0.8"),
    ("agent-services/laoke-service/laoke/cache.py", "import aioredis", "from redis import asyncio as aioredis"),
    ("agent-services/xiaoai-service/xiaoai/sessions.py", "datetime.UTC", "datetime.timezone.utc"),
    ("accessibility-service/accessibility/profiles.py", "SafeConfigParser", "ConfigParser"),
    ("blockchain-service/requirements.txt", "bottle", "packaging==24.2\nbottle"),
    (
        "blockchain-service/blockchain/contracts.py",
        "from pkg_resources import parse_version",
        "from packaging.version import parse as parse_version",
    ),
    ("corn-maze-service/corn_maze/layouts.py", "import imp\n", "import runpy\n"),
    (
        "corn-maze-service/corn_maze/layouts.py",
        'imp.load_source("layout_" + name, str(folder / (name + ".py"))).ROWS',
        'runpy.run_path(str(folder / (name + ".py")))["ROWS"]',
    ),
    (
        "suoke-bench-service/test/test_metrics.py",
        "sys.version_info >= (3, 12), reason",
        "not sys.version_info, reason",
    ),
    (
        "diagnostic-services/inquiry-service/tests/test_questionnaire.py",
        "sys.version_info < (3, 12)",
        "sys.version_info",
    ),
)
"""(file below services/, old text, new text)"""


def apply_fixes(root: Path) -> None:
    for name, old_text, new_text in FIXES:
        file = root / "services" / name
        file.write_text(file.read_text(encoding="utf-8").replace(old_text, new_text), encoding="utf-8")


def run_all_stages(folder: Path, *, fixed: bool) -> None:
    stages = example_stages()
    prepare = apply_fixes if fixed else lambda root: None
    with example_fleet(folder, stages, cache=folder / "cache", prepare=prepare) as fleet:
        for stage, folders in stages.items():
            begun = time.monotonic()
            code, out = fleet.run_pytest(f"--py312-stage={stage}", f"--py312-deploy={fleet.name}")
            summary = next(
                (line for line in out.splitlines() if line.startswith(("passed:", "failed:", "pending:"))), out
            )
            serves = ", ".join(sorted(fleet.serving(stage)))
            seconds = time.monotonic() - begun
            print(f"stage {stage}: {len(folders)} services, {seconds:.0f} s, exit status {code}; serves {serves}")
            print(f"  {summary}", flush=True)


def main() -> None:
    for fixed in (False, True):
        print("fixed" if fixed else "unchanged")
        with tempfile.TemporaryDirectory() as folder:
            run_all_stages(Path(folder), fixed=fixed)


if __name__ == "__main__":
    main()
