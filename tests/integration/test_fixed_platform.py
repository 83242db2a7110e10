"""A real platform's requirements mended with ``--py312-fix``; uv alone then installs them, and nothing else changed.

Its files lie beside the checkout, and are not part of it. ``tests/benchmarks/mended_platform.py`` does all of it.
"""

import shutil
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.integration.platform_proofs import changed_lines, commit_all, gate, proved_by_uv, told

PLATFORM = Path(__file__).parents[3] / "shared" / "data" / "seed-platform"
SERVICES = ("api-gateway", "palpation-service")
"""A knot of conflicts, and wheels that are missing."""

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not PLATFORM.is_dir(), reason="the seed platform is not beside this checkout"),
]


def test_what_is_mended_installs_with_uv_alone(tmp_path: Path) -> None:
    root, cache = tmp_path / "platform", tmp_path / "cache"
    shutil.copytree(PLATFORM, root, copy_function=shutil.copy)
    for folder in (root, *root.rglob("*/")):
        folder.chmod(0o755)
    commit_all(root)
    chosen = f"--py312-services={','.join(SERVICES)}"

    gate(root, cache, tmp_path / "before.json", chosen)
    gate(root, cache, tmp_path / "after.json", chosen, "--py312-fix")

    before = {one.service: one for one in told(tmp_path / "before.json")}
    offered = {line: change for one in before.values() for line, change in one.changes.items()}
    changed = changed_lines(root)
    assert set(before) == set(SERVICES)
    assert set(changed) == set(offered)
    for line, (old, new) in changed.items():
        was, now = offered[line]
        assert new == old.replace(was, now)
        assert SpecifierSet(was) != SpecifierSet(now)
    for one in before.values():
        assert one.changes
        assert proved_by_uv(root, one, tmp_path / "proof" / one.service) == ""
    for one in told(tmp_path / "after.json"):
        assert not one.changes
        assert one.left_out == before[one.service].left_out
