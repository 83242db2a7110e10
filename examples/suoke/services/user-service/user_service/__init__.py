"""Who the users of the platform are."""
