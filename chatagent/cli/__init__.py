"""The `chatagent` command (`chatagent.cli.app`) and what makes deployments of settings."""
