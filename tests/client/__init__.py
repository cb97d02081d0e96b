"""Tests of chatagent.client."""
