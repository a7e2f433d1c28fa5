"""Run attempts: fork servers, fresh interpreters, deadlines, process groups, GPUs."""
