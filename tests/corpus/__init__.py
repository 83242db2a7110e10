"""Public repositories whose state was found by hand, and what the gate says about them.

``repositories/`` has one manifest for each: no code, only the commit, the services, their verdicts and culprits.
``judge`` rates the gate on clones of them, ``upstream`` compares its changes with those of the maintainers.
"""
