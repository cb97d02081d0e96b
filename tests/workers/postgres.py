"""A PostgreSQL of the tests' own: its files in a temporary folder, on a port of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stack import free_port, wait_until

#: Seconds for the server to be made, to come up and to end.
_DEADLINE_S = 60.0


def find_postgres() -> Path | None:
    """The folder of the server's programs: on PATH, or where Debian puts them, the newest."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: float(place.parent.name))
    return next((place for place in reversed(places) if (place / "initdb").exists()), None)


@contextmanager
def postgres(programs: Path) -> Iterator[str]:
    """The URL of a running server, which trusts everybody who reaches it."""
    # The server refuses to run as root, and its user may not enter the folders of root's tests.
    user = "postgres" if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="chatagent-postgres-", ignore_cleanup_errors=True) as place:
        if user is not None:
            shutil.chown(place, user)
        with _running(programs, Path(place), user) as url:
            yield url


@contextmanager
def _running(programs: Path, folder: Path, user: str | None) -> Iterator[str]:
    data, port = folder / "data", free_port()
    made = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, timeout=_DEADLINE_S, user=user, cwd=folder)
    options = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", "fsync": "off"}
    given = [item for name, value in options.items() for item in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), *given], stdout=log, stderr=log, user=user, cwd=folder
        )
    try:
        ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        wait_until(
            lambda: subprocess.run(ready, check=False, timeout=_DEADLINE_S).returncode == 0,
            f"PostgreSQL answers: {(folder / 'log').read_text(errors='replace')[-500:]}",
            timeout_s=_DEADLINE_S,
        )
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(_DEADLINE_S)
