"""All twenty services of the example, mended, through all four stages: each by one run of pytest, on a real engine.

    python -m tests.integration.rollouts.example_fleet_whole

First as the example is, where only its first stage is proven and nothing else is deployed; then with what TROUBLE.md
names put right. Prints how long each took, and what serves. Takes some minutes.
"""

import tempfile
import time
from pathlib import Path

from tests.integration.rollouts.example_fleet import example_fleet, example_stages

MENDED = (
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
"""File below services/, what stands there, what stands there instead."""


def mend(root: Path) -> None:
    for name, before, after in MENDED:
        file = root / "services" / name
        file.write_text(file.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")


def gone_through(folder: Path, *, mended: bool) -> None:
    stages = example_stages()
    with example_fleet(folder, stages, changed=mend if mended else lambda root: None) as fleet:
        for stage, folders in stages.items():
            begun = time.monotonic()
            code, out = fleet.ran(f"--py312-stage={stage}", f"--py312-deploy={fleet.name}")
            said = next((line for line in out.splitlines() if line.startswith(("passed:", "failed:", "pending:"))), out)
            serves = ", ".join(sorted(fleet.serving(stage)))
            seconds = time.monotonic() - begun
            print(f"stage {stage}: {len(folders)} services, {seconds:.0f} s, exit status {code}; serves {serves}")
            print(f"  {said}", flush=True)


def main() -> None:
    for mended in (False, True):
        print("mended" if mended else "as it is")
        with tempfile.TemporaryDirectory() as folder:
            gone_through(Path(folder), mended=mended)


if __name__ == "__main__":
    main()
