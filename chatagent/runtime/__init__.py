"""What happens: turns, runs, recovery and the engine that drives them, over ports."""
