"""The soak: what is probed when, and which results are breaches."""
