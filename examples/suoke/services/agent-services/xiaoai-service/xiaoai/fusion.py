"""Four examinations, one picture."""

WEIGHTS = {"inquiry": 0.35, "look": 0.25, "palpation": 0.25, "listen": 0.15}


def fuse(findings):
    """Pattern -> confidence between 0 and 1, most likely first.

    ``findings`` maps an examination to its patterns and their confidence; an examination that was not made does not
    count against any pattern.
    """
    unknown = sorted(set(findings) - set(WEIGHTS))
    if unknown:
        raise ValueError("unknown examination: " + ", ".join(unknown))
    total = sum(WEIGHTS[name] for name in findings)
    fused = {}
    for name, patterns in findings.items():
        for pattern, confidence in patterns.items():
            fused[pattern] = fused.get(pattern, 0.0) + WEIGHTS[name] * confidence / total
    return dict(sorted(((key, round(value, 3)) for key, value in fused.items()), key=lambda item: (-item[1], item[0])))


def verdict(fused, least=0.5):
    """The most likely pattern, or ``None`` while nothing is likely enough."""
    best = next(iter(fused), None)
    return best if best is not None and fused[best] >= least else None
