"""Tests of chatagent.cli."""
