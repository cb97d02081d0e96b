"""The snippets of the frontend guide, as they stand: type-checked, bundled, and run against a real gateway."""
