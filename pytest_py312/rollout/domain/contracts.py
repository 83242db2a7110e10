"""Contracts between services: which versions of two services meet, and how their answers are judged. Pure.

A contract is what one service needs from another: a call that succeeds, or data that one writes and the other reads.
"""

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_py312.repository.plan.rollout_settings import ContractSettings
from pytest_py312.rollout.domain.measurements import MAX_DETAIL_LENGTH, Result
from pytest_py312.rollout.domain.target_model import format_address

OLD, NEW = "old", "new"
VERSION_PAIRS = ((NEW, NEW), (OLD, NEW), (NEW, OLD), (OLD, OLD))
"""(version of the first service, version of the second). The last pair shows what holds without any new version."""
ANSWER_MARKER = "py312-contract "
CALLEE_PLACEHOLDER = "{callee}"
"""Placeholder for the callee's host and port in a command."""
MAX_DATA_BYTES = 64 * 1024
"""Limit for what a writer may write: the data is passed on as a command-line argument."""
UNREACHABLE_HINT = 'if they connect through a proxy or a published port, add at = "host:port" to the contract'


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionPairResult:
    """Result of trying a contract with one pair of versions: successful, failed (it does not hold), or error (not
    tried).
    """

    first: str
    second: str
    result: Result
    detail: str = ""

    def __str__(self) -> str:
        outcome = {Result.SUCCESSFUL: "holds", Result.FAILED: "broken", Result.ERROR: "not tried"}[self.result]
        return f"{self.first} -> {self.second}: {outcome}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractResult:
    """Result of a contract: successful, failed or inconclusive. ``tried`` holds the pairs that it is based on."""

    edge: str
    what: str
    result: Result
    reason: str = ""
    tried: tuple[VersionPairResult, ...] = ()


def judge_contract(
    contract: ContractSettings, pair_results: Sequence[VersionPairResult], *, unavailable: Sequence[str] = ()
) -> ContractResult:
    """Judge a contract by the results of its version pairs.

    A new version is to blame only if the pair of previous versions does better, or could not be tried.

    :param unavailable: versions that cannot be tried, with the reason; ``pair_results`` has no pairs with them.
    """
    pairs_with_new = [pair for pair in pair_results if NEW in (pair.first, pair.second)]
    old_pair = next((pair for pair in pair_results if (pair.first, pair.second) == (OLD, OLD)), None)
    broken = [pair for pair in pairs_with_new if pair.result is Result.FAILED]
    untested = [pair for pair in pairs_with_new if pair.result is Result.ERROR]
    if broken and old_pair is not None and old_pair.result is Result.FAILED:
        result, reason = Result.INCONCLUSIVE, f"the old versions fail with each other too ({old_pair.detail})"
    elif broken:
        result, reason = Result.FAILED, "; ".join(str(pair) for pair in broken)
    elif not any(pair.result is Result.SUCCESSFUL for pair in pairs_with_new):
        reasons = "; ".join([*map(str, untested), *unavailable])
        result, reason = Result.INCONCLUSIVE, reasons or f"neither {contract.first} nor {contract.second} is new"
    elif untested:
        result, reason = Result.INCONCLUSIVE, "; ".join(str(pair) for pair in untested)
    else:
        result, reason = Result.SUCCESSFUL, "; ".join(f"not tried: {pair}" for pair in unavailable)
    return ContractResult(
        edge=contract.edge, what=contract.description, result=result, reason=reason, tried=tuple(pair_results)
    )


def contracts_of_services(contracts: Sequence[ContractSettings], services: Collection[str]) -> list[ContractSettings]:
    """Return the contracts that involve one of ``services``."""
    return [contract for contract in contracts if {contract.first, contract.second} & set(services)]


def contract_edges(contracts: Sequence[ContractSettings], services: Collection[str]) -> list[str]:
    """Return each edge, ``caller->callee``, of the contracts that involve one of ``services``."""
    return list(dict.fromkeys(contract.edge for contract in contracts_of_services(contracts, services)))


def results_on_edge(results: Sequence[ContractResult], edge: str) -> list[ContractResult]:
    """Return the results of the contracts on one edge, ``caller->callee``."""
    return [contract_result for contract_result in results if contract_result.edge == edge]


def worst_result(results: Sequence[ContractResult]) -> Result:
    """Return the worst of several results; inconclusive if there is none."""
    order = (Result.FAILED, Result.INCONCLUSIVE, Result.SUCCESSFUL)
    return min((contract_result.result for contract_result in results), key=order.index, default=Result.INCONCLUSIVE)


# ---- requests to containers, and their answers


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractAnswer:
    """Answer of a container. ``is_unreachable`` means that no network leads from the caller to the callee."""

    result: Result
    detail: str = ""
    is_unreachable: bool = False
    data: bytes = b""
    python: str = ""


def evaluate_pairs(answers: Mapping[tuple[str, str], ContractAnswer]) -> list[VersionPairResult]:
    """Turn the answers of the version pairs into results.

    Services that share no network may still connect through a proxy or a published port that the plan does not name. A
    failure to connect therefore counts against a new version only if the previous versions do connect.
    """
    old_answer = answers.get((OLD, OLD))
    old_versions_connect = old_answer is not None and old_answer.result is Result.SUCCESSFUL
    return [
        VersionPairResult(
            first=first,
            second=second,
            result=Result.FAILED if answer.is_unreachable and old_versions_connect else answer.result,
            detail=answer.detail
            if old_versions_connect or not answer.is_unreachable
            else f"{answer.detail}; {UNREACHABLE_HINT}",
        )
        for (first, second), answer in answers.items()
    ]


def script_request(
    contract: ContractSettings,
    *,
    is_reader: bool = False,
    callee_address: tuple[str, int] | None = None,
    data: bytes = b"",
) -> Mapping[str, Any]:
    """Build the request for the script that runs in a container.

    :param is_reader: build it for the reading side of a contract about data.
    :param callee_address: host and port of the callee as seen by the caller.
    """
    if contract.is_data:
        action, invocation = ("read", contract.read) if is_reader else ("write", contract.write)
    else:
        action, invocation = ("ask" if contract.path else "call", contract.call)
    address = contract.at
    if not address and callee_address:
        address = format_address(*callee_address)
    return {
        "do": action,
        "url": f"http://{address}{contract.path}" if address else "",
        "command": [word.replace(CALLEE_PLACEHOLDER, address) for word in invocation.command],
        "function": invocation.function,
        "format": contract.format,
        "data": base64.b64encode(data).decode(),
        "limit": contract.limit,
    }


def needs_callee_address(contract: ContractSettings) -> bool:
    """Return whether the caller needs the address of one particular version of the callee.

    It does not if the plan names an address, or if its command finds the callee by itself: both lead to the deployed
    version.
    """
    if contract.is_data or contract.at:
        return False
    return not contract.call.command or any(CALLEE_PLACEHOLDER in word for word in contract.call.command)


def parse_answer(output: str) -> ContractAnswer:
    """Parse the last answer of the script. Everything else that was printed is ignored."""
    line = next((line for line in reversed(output.splitlines()) if line.startswith(ANSWER_MARKER)), "")
    try:
        fields = json.loads(line.removeprefix(ANSWER_MARKER))
        data = base64.b64decode(str(fields["data"]), validate=True)
        detail = " ".join(str(fields["detail"]).split())[:MAX_DETAIL_LENGTH]
        python = str(fields["python"])
        holds, unable = fields["ok"] is True, fields.get("unable") is True
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        last_output = " ".join(output.split())[-MAX_DETAIL_LENGTH:]
        return ContractAnswer(
            result=Result.ERROR, detail=f"the contract script gave no answer: {last_output or 'no output'}"
        )
    if len(data) > MAX_DATA_BYTES:
        message = f"it wrote {len(data)} bytes, and the limit is {MAX_DATA_BYTES}; let it write a smaller example"
        return ContractAnswer(result=Result.ERROR, detail=message)
    result = Result.SUCCESSFUL if holds else Result.ERROR if unable else Result.FAILED
    return ContractAnswer(result=result, detail=detail, data=data, python=python)
