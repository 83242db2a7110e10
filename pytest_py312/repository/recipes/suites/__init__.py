"""What runs the tests of services: jobs of CI, tox, nox, Makefiles and scripts, and what they install for them."""
