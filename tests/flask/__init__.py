"""Tests of `chatagent.flask`: real gunicorn, sockets and Redis, and a worker that follows a script."""
