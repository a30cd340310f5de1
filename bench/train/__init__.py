"""One run: losses, optimisers, the compiled step, checkpoints, the loop."""
