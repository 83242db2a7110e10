"""Passwords are kept as salted, slow digests."""

import hashlib
import hmac
import os

ALGORITHM = "sha256"
ROUNDS = 200_000


def hashed(password, salt=None, rounds=ROUNDS):
    """A text that holds everything that :func:`fits` needs: algorithm, rounds, salt and digest."""
    salt = os.urandom(16) if salt is None else salt
    digest = hashlib.pbkdf2_hmac(ALGORITHM, password.encode("utf-8"), salt, rounds)
    return "$".join([ALGORITHM, str(rounds), salt.hex(), digest.hex()])


def fits(password, kept):
    """Whether ``password`` is the one that ``kept`` was made from."""
    algorithm, rounds, salt, digest = kept.split("$")
    again = hashlib.pbkdf2_hmac(algorithm, password.encode("utf-8"), bytes.fromhex(salt), int(rounds))
    return hmac.compare_digest(again.hex(), digest)
