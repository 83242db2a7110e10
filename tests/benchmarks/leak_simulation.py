"""Error rates of the judgement of memory growth, simulated with reproducible seeds.

    python -m tests.benchmarks.leak_simulation [--soaks 1000] [--seed 1]

Healthy soaks and leaks of ``tests/support/memory_soaks.py``, half of them beside a control. A leak is caught if it is
found before the end of the soak, or the service runs out of memory.
"""

import argparse
from collections import Counter

from tests.support.memory_soaks import MIB, make_soak

RATES = (0.1, 1.0, 10.0, 100.0)
"""MiB per minute."""


def share(count: int, of: int) -> str:
    return f"{100 * count / max(of, 1):.2f} % ({count} of {of})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soaks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for with_control in (True, False):
        name = "beside a control" if with_control else "alone"
        alarms: Counter[str] = Counter()
        missed: Counter[str] = Counter()
        for number in range(options.soaks):
            healthy = make_soak(options.seed + number, leaks=False, with_control=with_control)
            alarms[healthy.shape] += healthy.first_leak() is not None
            leaking = make_soak(options.seed + 10**6 + number, leaks=True, with_control=with_control)
            missed[leaking.shape] += not leaking.ran_out and leaking.first_leak() is None
        print(f"{name}: false alarms {share(alarms.total(), options.soaks)} {dict(alarms)}")
        print(f"{name}: missed leaks {share(missed.total(), options.soaks)} {dict(missed)}")
    for rate in RATES:
        soaks = [
            make_soak(options.seed + 2 * 10**6 + number, leaks=True, with_control=True, rate=rate * 60 * MIB)
            for number in range(options.soaks // 4)
        ]
        filling = [
            soak for soak in soaks if (soak.limit - soak.readings[0].used) / (rate * 60 * MIB) <= 10 * soak.hours
        ]
        caught = sum(soak.ran_out or soak.first_leak() is not None for soak in filling)
        print(f"{rate:g} MiB per minute, if it fills the limit in 10 soaks: caught {share(caught, len(filling))}")


if __name__ == "__main__":
    main()
