"""The worker process of this deployment."""
