"""Tests of `chatagent.flask`: real gunicorn processes, real sockets, a real Redis, and a worker that follows a script."""
