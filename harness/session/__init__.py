"""One run from plan to journal: locks, environments, checkpoints, attempts and their verdicts put together."""
