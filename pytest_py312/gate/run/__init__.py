"""One run: tasks, scheduling, facts, cached outcomes, waivers and known findings."""
