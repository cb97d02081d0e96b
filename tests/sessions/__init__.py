"""`chatagent.sessions` and `chatagent.auth` against a real gateway, and the guides that show them."""
