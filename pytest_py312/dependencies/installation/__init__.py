"""From locks to installed and imported environments, and verified repairs of blocked sets."""
