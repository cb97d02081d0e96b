"""Every Python block of `docs/guide` is run here as it stands."""
