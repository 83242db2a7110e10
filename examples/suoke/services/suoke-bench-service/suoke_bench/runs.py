"""One run of the benchmark: questions to an agent, and what came of them."""

import time
from dataclasses import dataclass

from suoke_bench.metrics import f1, percentile


@dataclass(frozen=True)
class Question:
    text: str
    right: frozenset


@dataclass(frozen=True)
class Summary:
    agent: str
    quality: float
    p95: float
    """Seconds."""
    unanswered: int


def run(agent, questions, ask, clock=time.perf_counter):
    """Ask ``agent`` all ``questions``. An answer that does not come is worth nothing, and has no time."""
    scores, times, unanswered = [], [], 0
    for question in questions:
        begun = clock()
        try:
            answer = ask(agent, question.text)
        except OSError:
            scores.append(0.0)
            unanswered += 1
            continue
        times.append(clock() - begun)
        scores.append(f1(answer, question.right))
    quality = sum(scores) / len(scores) if scores else 0.0
    return Summary(agent, round(quality, 3), percentile(times, 0.95) if times else 0.0, unanswered)
