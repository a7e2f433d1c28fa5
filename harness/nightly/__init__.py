"""One night: what to run, what changed since the last one, whether the machine can be trusted, and what is claimed."""
