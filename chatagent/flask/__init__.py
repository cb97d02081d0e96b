"""The gateway: mount it into any Flask app. Imports neither Celery nor litellm."""

from chatagent.flask.access import Identify
from chatagent.flask.gateway import Dispatch
from chatagent.flask.mount import mount
from chatagent.flask.options import Options
from chatagent.flask.process import Mounted
from chatagent.flask.token import ADMIN_SCOPES, USER_SCOPES, Identity, Tokens, session_scopes

__all__ = [
    "ADMIN_SCOPES",
    "USER_SCOPES",
    "Dispatch",
    "Identify",
    "Identity",
    "Mounted",
    "Options",
    "Tokens",
    "mount",
    "session_scopes",
]
