"""What services rely on each other for, across interpreters: which versions meet, and what that says. Pure."""

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_py312.repository.plan.rollout_settings import ContractSettings
from pytest_py312.rollout.domain.model import Result

OLD, NEW = "old", "new"
PAIRS = ((NEW, NEW), (OLD, NEW), (NEW, OLD), (OLD, OLD))
"""(version of the first, of the second); the last is what holds without anything new."""
MARK = "py312-contract "
CALLEE = "{callee}"
"""Stands for host and port of the callee, in a command."""
MOST_DATA = 64 * 1024
"""Bytes that a writer may write: they are handed over as an argument."""
LONGEST = 300
APART = 'where they meet by a proxy or a published port, write at = "host:port" into the contract'


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """What came of two versions meeting: successful, failed (it does not hold), or an error (it could not be tried)."""

    first: str
    second: str
    result: Result
    detail: str = ""

    def __str__(self) -> str:
        told = {Result.SUCCESSFUL: "holds", Result.FAILED: "broken", Result.ERROR: "not tried"}[self.result]
        return f"{self.first} -> {self.second}: {told}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class ContractResult:
    """What is to be said of a contract. Successful, failed, or inconclusive; ``tried`` is what it rests on."""

    edge: str
    what: str
    result: Result
    reason: str = ""
    tried: tuple[Tried, ...] = ()


def judged(contract: ContractSettings, tried: Sequence[Tried], *, missing: Sequence[str] = ()) -> ContractResult:
    """The new version is to blame only where the old one with the old one does better, or cannot be asked.

    :param missing: versions that cannot be had here, and why: pairs with them are not among ``tried``.
    """
    new = [one for one in tried if NEW in (one.first, one.second)]
    before = next((one for one in tried if (one.first, one.second) == (OLD, OLD)), None)
    broken = [one for one in new if one.result is Result.FAILED]
    untried = [one for one in new if one.result is Result.ERROR]
    if broken and before is not None and before.result is Result.FAILED:
        result, reason = Result.INCONCLUSIVE, f"the old versions fail each other too ({before.detail})"
    elif broken:
        result, reason = Result.FAILED, "; ".join(str(one) for one in broken)
    elif not any(one.result is Result.SUCCESSFUL for one in new):
        told = "; ".join([*map(str, untried), *missing])
        result, reason = Result.INCONCLUSIVE, told or f"neither {contract.first} nor {contract.second} is new"
    elif untried:
        result, reason = Result.INCONCLUSIVE, "; ".join(str(one) for one in untried)
    else:
        result, reason = Result.SUCCESSFUL, "; ".join(f"not tried: {one}" for one in missing)
    return ContractResult(edge=contract.edge, what=contract.what, result=result, reason=reason, tried=tuple(tried))


def concerned(contracts: Sequence[ContractSettings], services: Collection[str]) -> list[ContractSettings]:
    """Those that one of ``services`` is a party of."""
    return [one for one in contracts if {one.first, one.second} & set(services)]


def edges_of(contracts: Sequence[ContractSettings], services: Collection[str]) -> list[str]:
    """``caller->callee`` of each contract that one of ``services`` is a party of, each edge once."""
    return list(dict.fromkeys(contract.edge for contract in concerned(contracts, services)))


def on_edge(results: Sequence[ContractResult], edge: str) -> list[ContractResult]:
    """Those of one ``caller->callee``."""
    return [one for one in results if one.edge == edge]


def of_edge(results: Sequence[ContractResult]) -> Result:
    """The worst of several."""
    order = (Result.FAILED, Result.INCONCLUSIVE, Result.SUCCESSFUL)
    return min((one.result for one in results), key=order.index, default=Result.INCONCLUSIVE)


# ---- what is asked of a container, and what it answers


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a container answered. ``apart`` is where it could not, as nothing leads from one to the other."""

    result: Result
    detail: str = ""
    apart: bool = False
    data: bytes = b""
    python: str = ""


def tried_of(said: Mapping[tuple[str, str], Said]) -> list[Tried]:
    """What came of all meetings, by the versions that met.

    Two that are in no network together may meet by a way that nobody has told us of: a proxy, a published port. Only
    where the old versions do meet it is the new one that cannot be reached.
    """
    before = said.get((OLD, OLD))
    met = before is not None and before.result is Result.SUCCESSFUL
    return [
        Tried(
            first=first,
            second=second,
            result=Result.FAILED if one.apart and met else one.result,
            detail=one.detail if met or not one.apart else f"{one.detail}; {APART}",
        )
        for (first, second), one in said.items()
    ]


def request_to(
    contract: ContractSettings, *, reads: bool = False, host: tuple[str, int] | None = None, data: bytes = b""
) -> Mapping[str, Any]:
    """What the script in a container is told to do.

    :param reads: for the second of a contract about data.
    :param host: where the callee listens, seen from the caller.
    """
    if contract.is_data:
        act, doing = ("read", contract.read) if reads else ("write", contract.write)
    else:
        act, doing = ("ask" if contract.path else "call", contract.call)
    named = f"[{host[0]}]:{host[1]}" if host and ":" in host[0] else f"{host[0]}:{host[1]}" if host else ""
    where = contract.at or named
    return {
        "do": act,
        "url": f"http://{where}{contract.path}" if where else "",
        "command": [word.replace(CALLEE, where) for word in doing.command],
        "function": doing.function,
        "format": contract.format,
        "data": base64.b64encode(data).decode(),
        "limit": contract.limit,
    }


def needs_host(contract: ContractSettings) -> bool:
    """Whether the first has to be told where a version of the second listens. Where the plan names an address, or a
    command knows one by itself, that is where the one listens that is deployed."""
    if contract.is_data or contract.at:
        return False
    return not contract.call.command or any(CALLEE in word for word in contract.call.command)


def answer_in(printed: str) -> Said:
    """What the script has answered; whatever else was printed is passed over."""
    line = next((line for line in reversed(printed.splitlines()) if line.startswith(MARK)), "")
    try:
        said = json.loads(line.removeprefix(MARK))
        data = base64.b64decode(str(said["data"]), validate=True)
        detail = " ".join(str(said["detail"]).split())[:LONGEST]
        python = str(said["python"])
        well, unable = said["ok"] is True, said.get("unable") is True
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        words = " ".join(printed.split())[-LONGEST:]
        return Said(result=Result.ERROR, detail=f"its Python did not answer: {words or 'it printed nothing'}")
    if len(data) > MOST_DATA:
        told = f"it wrote {len(data)} bytes; {MOST_DATA} can be handed over: let it write an example"
        return Said(result=Result.ERROR, detail=told)
    result = Result.SUCCESSFUL if well else Result.ERROR if unable else Result.FAILED
    return Said(result=result, detail=detail, data=data, python=python)
