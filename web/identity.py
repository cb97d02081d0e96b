"""Who is asking. Edit this to let your app's own users chat: return their identity, or None for a stranger.

A stranger needs a token: your server asks for one with the secret key (`POST /api/v1/sessions/<chat_id>/tokens`)
and hands it to the browser.
"""

from __future__ import annotations

from flask import Request

from chatagent.flask import Identity


def identify(request: Request) -> Identity | None:
    """The user whom your app knows by its session cookie, its own token, its proxy's headers …

    For example: `return Identity(user=session["user_id"]) if "user_id" in session else None`. Such a user may chat
    with every agent, in chats of their own; other `scopes` allow less or more.
    """
    return None
