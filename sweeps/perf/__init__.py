"""The coordinator, measured: what it costs a point, and what it makes of preemptible machines in simulated time."""
