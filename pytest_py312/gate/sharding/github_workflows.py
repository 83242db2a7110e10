"""Workflows of GitHub: a job for each part or stage, and one that always runs. Pure.

Only the last job knows that none of the others is missing, so it is the check to require.
"""

import json
from collections.abc import Iterable

from pytest_py312.gate.sharding.workflows import PYTHON, WorkflowSettings

COMMENT_LIMIT = 60_000
"""Bytes of a comment. GitHub's limit is 65,536 characters."""
_OWN_BRANCH = "github.event.pull_request.head.repo.full_name == github.repository"
"""The token of a workflow for a pull request from a fork may write neither comments nor to code scanning."""


def github_workflow(settings: WorkflowSettings) -> str:
    """Return a workflow with a job for each part of a run, and one that merges them."""
    part = "${{ matrix.part }}"
    files = ["report.html", "report.xml", settings.durations_out]
    formats = ["sarif"] * settings.sarif + ["md"] * settings.comment
    return (
        _head(settings)
        + f"""\
  part:
    name: part {part} of {settings.parts}
    runs-on: ubuntu-latest
    strategy:
      fail-fast: false
      matrix:
        part: {list(range(1, settings.parts + 1))}
    steps:
{_checked(settings, f"{part}-of-{settings.parts}", settings.check(part))}\
{_upload(f"shard-{part}", [f"shard-{part}.json"])}\
  py312:
    # the check to require: it fails if a part is missing
    needs: part
    if: always()
    runs-on: ubuntu-latest
    steps:
{_SET_UP}\
      - run: {json.dumps(settings.install)}
      - uses: actions/download-artifact@v4
        with:
          pattern: shard-*
          merge-multiple: true
      - run: {json.dumps(settings.merge("${{ github.sha }}", formats))}
{_upload_sarif("py312") if settings.sarif else ""}\
{_COMMENT if settings.comment else ""}\
{_upload("py312-report", files)}"""
    )


def github_stage_workflow(settings: WorkflowSettings) -> str:
    """Return a workflow with a job for each stage of the plan, and one that fails unless all of them are proven."""
    stage = "${{ matrix.stage }}"
    formats = ["html", "json", "md", *["sarif"] * settings.sarif]
    files = ["report.xml", *(f"report.{ending}" for ending in formats)]
    comment = (
        f"""\
      - uses: actions/download-artifact@v4
        with:
          pattern: py312-stage-*
      - run: cat py312-stage-*/report.md > report.md
{_COMMENT}"""
        if settings.comment
        else ""
    )
    return (
        _head(settings)
        + f"""\
  stage:
    name: stage {stage}
    runs-on: ubuntu-latest
    strategy:
      fail-fast: false
      matrix:
        stage: [{", ".join(settings.stages)}]
    steps:
{_checked(settings, f"stage-{stage}", settings.check_stage(stage, formats))}\
{_upload_sarif(f"py312-stage-{stage}") if settings.sarif else ""}\
{_upload(f"py312-stage-{stage}", files)}\
  py312:
    # the check to require: it fails if a stage is not proven
    needs: stage
    if: always()
    runs-on: ubuntu-latest
    steps:
{comment}\
      - run: test "$RESULT" = success
        if: always()
        env:
          RESULT: ${{{{ needs.stage.result }}}}
"""
    )


_SET_UP = f"""\
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "{PYTHON}"
"""

_COMMENT = f"""\
      - run: head -c {COMMENT_LIMIT} report.md | iconv -c -f UTF-8 -t UTF-8 > comment.md
        if: always()
      - run: gh pr comment "$NUMBER" --edit-last --create-if-none --body-file comment.md
        if: always() && github.event_name == 'pull_request' && {_OWN_BRANCH}
        env:
          GH_TOKEN: ${{{{ github.token }}}}
          GH_REPO: ${{{{ github.repository }}}}
          NUMBER: ${{{{ github.event.pull_request.number }}}}
"""
"""The steps that write the one comment of a pull request again."""


def _head(settings: WorkflowSettings) -> str:
    permissions = ["contents: read"]
    permissions += ["actions: read", "security-events: write"] * settings.sarif  # the first for private repositories
    permissions += ["pull-requests: write"] * settings.comment
    lines = "".join(f"  {permission}\n" for permission in permissions)
    return f"""\
# Written by `py312 emit github`; `py312 emit github --check FILE` shows what has changed since.
name: py312
on:
  push:
  pull_request:
permissions:
{lines}jobs:
"""


def _checked(settings: WorkflowSettings, name: str, command: str) -> str:
    """Return the steps that check something, with what was resolved, installed and checked before."""
    cache = f"{settings.cache_name}-${{{{ runner.os }}}}-${{{{ runner.arch }}}}-{name}-"
    own_cache = f"{cache}${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}"
    return f"""\
{_SET_UP}\
      # what was resolved, installed and checked before; each entry is found by the digest of what it depends on
      - uses: actions/cache/restore@v4
        with:
          path: .py312
          key: {own_cache}
          restore-keys: {cache}
      - run: {json.dumps(settings.install)}
      - run: {json.dumps(command)}
      - uses: actions/cache/save@v4
        if: always()
        with:
          path: .py312
          key: {own_cache}
"""


def _upload(name: str, files: Iterable[str]) -> str:
    paths = list(files)
    path = paths[0] if len(paths) == 1 else "|\n" + "\n".join(f"            {file}" for file in paths)
    return f"""\
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: {name}
          path: {path}
"""


def _upload_sarif(category: str) -> str:
    return f"""\
      - uses: github/codeql-action/upload-sarif@v3
        if: always() && (github.event_name != 'pull_request' || {_OWN_BRANCH})
        with:
          sarif_file: report.sarif
          category: {category}
"""
