"""What builds and imports need of the system: programs, headers and libraries, and the packages that have them."""
