"""Tests of `chatagent.relay`."""
