"""Which topics a pattern means: ``health.*.created`` is one level, ``health.#`` is everything below."""


def matches(pattern, topic):
    """Whether ``topic`` is one that a subscriber of ``pattern`` wants."""
    wanted, given = pattern.split("."), topic.split(".")
    for index, word in enumerate(wanted):
        if word == "#":
            return True
        if index >= len(given) or word not in ("*", given[index]):
            return False
    return len(wanted) == len(given)
