"""`py312 watch` with exported metrics, in real time."""

import re
import threading
import urllib.request
from pathlib import Path

from pytest_py312.core import clock
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.rollout.context import RolloutContext
from tests.support.fakes import FakeTarget, service_tree
from tests.unit.rollout.shells import run_line

PLAN = """
deploy = { image = "new-{version}", readiness-delay = 0 }
soak = { interval = "1s", duration = "3s", initial-delay = 0 }

[[stage]]
number = 1
services = ["auth"]
"""


def test_metrics_can_be_fetched_while_a_stage_is_watched(tmp_path: Path) -> None:
    service_tree(tmp_path, {"services/auth/requirements.txt": "attrs\n", "py312.toml": PLAN})
    target = FakeTarget()
    target.serve("auth", "old-3.9")
    fetched: list[str] = []
    lines: list[str] = []
    fetching: list[threading.Thread] = []

    def log(text: str) -> None:
        match = re.search(r"http://127\.0\.0\.1:\d+/metrics", text)
        if match:
            fetching.append(threading.Thread(target=fetch, args=(match[0],)))
            fetching[0].start()
        lines.append(text)

    def fetch(address: str) -> None:
        for place in (address, address.removesuffix("metrics")):
            with urllib.request.urlopen(place, timeout=10) as answer:
                fetched.append(answer.read().decode())

    plan = load_plan(tmp_path / "py312.toml", today=clock.today())
    context = RolloutContext(plan=plan, state_dir=tmp_path / ".py312", target=lambda: target, log=log)
    assert run_line("deploy --stage 1", context)[1] == 0
    text, code = run_line("watch --stage 1 --port 0", context)
    fetching[0].join()
    assert code == 0, text
    assert text.startswith("stage 1 in test is accepted")
    assert 'py312_stage_state{environment="test",stage="1",state="soaking"} 1.0' in fetched[0]
    assert "Stage 1 is" in fetched[1], "the page for people"
    assert [line for line in lines if line.startswith("soaking, sample 1: all well")], "and a line for each sample"
