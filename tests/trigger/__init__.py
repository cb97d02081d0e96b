"""The published Trigger.dev clients, unmodified, on a real gateway and worker: only their `baseURL` is ours."""
