"""The OpenAPI document of all HTTP doors. What it says of a route stands once, by endpoint, in a module per door."""

from chatagent.flask.openapi.door import register

__all__ = ["register"]
