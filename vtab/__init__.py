"""The transfer harness: tasks, adaptation of checkpoints, scores."""
