"""A real platform's requirements fixed with ``--py312-fix``: uv alone installs them, and nothing else is changed.

Its files are beside the checkout, and not part of it. ``tests/benchmarks/fixed_platform.py`` fixes all services.
"""

import shutil
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.integration.platform_fixes import changed_lines, commit_all, gate, install_with_uv, read_report

PLATFORM = Path(__file__).parents[3] / "shared" / "data" / "seed-platform"
SERVICES = ("api-gateway",)
"""One with many conflicts. The benchmark has those with missing wheels as well."""

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not PLATFORM.is_dir(), reason="the seed platform is not beside this checkout"),
]


def test_fixed_requirements_install_with_uv_alone(tmp_path: Path, gate_cache: Path) -> None:
    root = tmp_path / "platform"
    shutil.copytree(PLATFORM, root, copy_function=shutil.copy)
    for folder in (root, *root.rglob("*/")):
        folder.chmod(0o755)
    commit_all(root)
    chosen = f"--py312-services={','.join(SERVICES)}"

    gate(root, gate_cache, tmp_path / "before.json", chosen)
    gate(root, gate_cache, tmp_path / "after.json", chosen, "--py312-fix")

    reports = {report.service: report for report in read_report(tmp_path / "before.json")}
    offered = {line: change for report in reports.values() for line, change in report.changes.items()}
    changed = changed_lines(root)
    assert set(reports) == set(SERVICES)
    assert set(changed) == set(offered)
    for line, (old, new) in changed.items():
        was, now = offered[line]
        assert new == old.replace(was, now)
        assert SpecifierSet(was) != SpecifierSet(now)
    for report in reports.values():
        assert report.changes
        assert install_with_uv(root, report, tmp_path / "proof" / report.service) == ""
    for report in read_report(tmp_path / "after.json"):
        assert not report.changes
        assert report.left_out == reports[report.service].left_out
