"""Named sweeps, the study, the coordinator, executors, and the command line."""
