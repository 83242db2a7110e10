"""The manifest of an evidence bundle, checked with sha256sum."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.rollout.shells import shell_in


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="there is no sha256sum")
def test_sha256sum_checks_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    py312 = shell_in(tmp_path, monkeypatch)
    py312("deploy --stage 1")
    made = py312.document("evidence --stage 1")
    manifest, page = Path(made["manifest"]), Path(made["html"])

    def checked() -> int:
        argv = ["sha256sum", "--check", "--strict", manifest.name]
        return subprocess.run(argv, cwd=manifest.parent, check=False, capture_output=True).returncode

    assert checked() == 0
    page.write_text(page.read_text() + " ")
    assert checked() == 1
