"""Why a set cannot be had, and which change would help."""
