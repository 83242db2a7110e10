"""Is a service ready for the target?"""
