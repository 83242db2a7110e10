"""Foundation without domain logic: shared values, and the only access to processes, files, clock and database."""
