"""Where answers about a service come from: the service, its engine, Prometheus, a function of the user."""
