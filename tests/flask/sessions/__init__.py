"""The sessions door."""
