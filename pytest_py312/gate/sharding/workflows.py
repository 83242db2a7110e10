"""What workflows of CI systems run, and the one of GitLab: they check parts of a run on a machine each. Pure.

They consist of one job for each part and of one that always runs: it alone knows that no part is missing, so it is the
check to require.
"""

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pytest_py312.gate.sharding.durations import Durations

MAX_JOBS: Mapping[str, int] = {"github": 256, "gitlab": 200}
"""Most jobs of a matrix. https://docs.github.com/en/actions/reference/limits and
https://docs.gitlab.com/ci/yaml/#parallel"""
SECONDS_PER_PART = 600
"""How long a part is to take if the number of parts is chosen by durations."""
PYTHON = "3.12"
"""The Python that runs the gate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowSettings:
    """What a workflow is to check: in how many parts, which stages (``1,2``, or empty), by which file of durations.

    ``requirement``: what pip installs, if not this version from the index.
    ``sarif``: its findings are uploaded to GitHub's code scanning; ``comment``: they are a comment of a pull request.
    """

    parts: int
    tool_version: str
    stage: str = ""
    durations: str = ""
    requirement: str = ""
    sarif: bool = False
    comment: bool = False

    @property
    def stages(self) -> list[str]:
        """The numbers of the stages."""
        return self.stage.split(",") if self.stage else []

    @property
    def cache_name(self) -> str:
        """The beginning of the names of caches: not shared by other versions, nor by runs of other stages."""
        return f"py312-{self.tool_version}-{self.stage.replace(',', '-') or 'all'}"

    @property
    def durations_out(self) -> str:
        """The file of durations that the merge writes."""
        return self.durations or "durations.json"

    @property
    def install(self) -> str:
        return f"python -m pip install {shlex.quote(self.requirement or f'pytest-py312=={self.tool_version}')}"

    def check(self, part: str) -> str:
        """Return the command that checks a part, which is a variable of the CI system."""
        words = ["pytest", "--py312"]
        words += [f"--py312-stage={self.stage}"] if self.stage else []
        words += [f"--py312-durations={self.durations}"] if self.durations else []
        return (
            f"{shlex.join(words)} --py312-shard={part}/{self.parts} --py312-cache-dir=.py312/cache "
            f"--py312-report=shard-{part}.json"
        )

    def check_stage(self, stage: str, formats: Iterable[str]) -> str:
        """Return the command that checks a stage, which is a variable of the CI system."""
        reports = " ".join(f"--py312-report=report.{ending}" for ending in formats)
        return f"pytest --py312 --py312-stage={stage} --py312-cache-dir=.py312/cache --junitxml=report.xml {reports}"

    def merge(self, commit: str, formats: Iterable[str] = ()) -> str:
        """Return the command that merges the parts, and writes the durations for the next run."""
        reports = "".join(f"--report=report.{ending} " for ending in ("html", *formats))
        return (
            f"py312 merge shard-*.json --commit={commit} {reports}--junitxml=report.xml "
            f"--durations={shlex.quote(self.durations_out)}"
        )


def parts_for(durations: Durations, limit: int) -> int:
    """Return the number of parts of :data:`SECONDS_PER_PART`; not more than services, nor than ``limit``."""
    services: dict[str, float] = {}
    for (service, _), seconds in sorted(durations.items()):
        services[service] = services.get(service, 0.0) + seconds
    longest = max(services.values(), default=0.0)
    length = max(longest, SECONDS_PER_PART)  # a service is not divided: more parts would wait for the longest one
    return max(1, min(math.ceil(sum(services.values()) / length), len(services), limit))


def gitlab_pipeline(settings: WorkflowSettings) -> str:
    """Return a pipeline of GitLab."""
    cache = f"{settings.cache_name}-$CI_NODE_INDEX-of-{settings.parts}"
    return f"""\
# Written by `py312 emit gitlab`; `py312 emit gitlab --check FILE` shows what has changed since.
stages:
  - check
  - gate
part:
  stage: check
  image: python:{PYTHON}
  parallel: {settings.parts}
  cache:
    # what was resolved, installed and checked before; each entry is found by the digest of what it depends on
    key: {json.dumps(cache)}
    when: always
    paths:
      - .py312/
  script:
    - {json.dumps(settings.install)}
    - {json.dumps(settings.check("$CI_NODE_INDEX"))}
  artifacts:
    when: always
    paths:
      - shard-*.json
py312:
  # it fails if a part is missing; ordered by its stage, as a list of "needs" may have fewer jobs than there are parts
  stage: gate
  image: python:{PYTHON}
  when: always
  dependencies:
    - part
  script:
    - {json.dumps(settings.install)}
    - {json.dumps(settings.merge("$CI_COMMIT_SHA"))}
  artifacts:
    when: always
    paths:
      - report.html
      - {json.dumps(settings.durations_out)}
    reports:
      junit: report.xml
"""
