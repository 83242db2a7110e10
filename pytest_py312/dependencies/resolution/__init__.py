"""Requirements to a lock: the resolvers, and what is remembered of their answers."""
