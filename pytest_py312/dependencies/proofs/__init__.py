"""Proofs that an environment is what its lock says: hashes, files, imports."""
