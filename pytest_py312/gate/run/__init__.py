"""One run: what is asked, in which order, what is known already, and what is excused."""
