"""Durable AI chat agents on Celery, Redis and Flask."""
