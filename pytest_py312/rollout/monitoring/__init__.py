"""The soak: what is asked when, and what breaks it off."""
