"""The gateway of this deployment: what one edits to deploy."""
