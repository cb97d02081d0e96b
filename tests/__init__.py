"""Tests; the folders mirror `chatagent/`."""
