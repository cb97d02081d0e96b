"""A gateway under gunicorn and gevent, in a process of its own, on a free port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from chatagent.flask import ADMIN_SCOPES, Tokens
from tests.flask.gateway_app import SECRET
from tests.loopback import LOOPBACK
from tests.stack import free_port

ROOT = Path(__file__).parents[2]
_DEADLINE_S = 60.0


class GatewayProcess:
    """One gunicorn with one worker."""

    def __init__(
        self, redis_url: str, *, prefix: str = "", worker_class: str = "", grace_s: int = 10, **options: Any
    ) -> None:
        self.port = free_port()
        self.prefix = prefix
        self.url = f"http://127.0.0.1:{self.port}{prefix}"
        self.ws_url = f"ws://127.0.0.1:{self.port}{prefix}/api/chat/ws"
        self.tokens = Tokens(SECRET)
        handle, name = tempfile.mkstemp(suffix=".log")
        self._log = Path(name)
        env = {
            **os.environ,
            "TEST_REDIS_URL": redis_url,
            "TEST_OPTIONS": json.dumps(options),
            "TEST_PREFIX": prefix,
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "web" / "gunicorn.conf.py")]
        command += ["-b", f"127.0.0.1:{self.port}", "-w", "1", "--graceful-timeout", str(grace_s)]
        command += ["-k", worker_class] if worker_class else []
        command += ["--threads", "64"] if worker_class == "gthread" else []
        command.append("tests.flask.gateway_app:create_app()")
        self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=handle, stderr=handle)
        os.close(handle)

    def wait_ready(self) -> GatewayProcess:
        """Return once it answers."""
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            try:
                httpx.get(f"{self.url}/api/config", timeout=5, **LOOPBACK)
                return self
            except httpx.HTTPError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the gateway did not start: {error}\n{self.log()}") from error
                time.sleep(0.02)

    def token(self, *scopes: str, user: str | None = None, ttl_s: float = 600) -> str:
        """A token for this gateway; without scopes one that may do everything."""
        return self.tokens.mint(scopes or ADMIN_SCOPES, ttl_s=ttl_s, user=user)

    def http(self, token: str | None = None, **headers: str) -> httpx.Client:
        """A client that shows a token."""
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers={**shown, **headers}, timeout=20, **LOOPBACK)

    @property
    def worker_pid(self) -> int:
        """The process that serves."""
        return int(psutil.Process(self.process.pid).children()[0].pid)

    def worker_pids(self) -> set[int]:
        """All processes that serve; two of them while one takes over."""
        return {int(child.pid) for child in psutil.Process(self.process.pid).children()}

    def rss_mb(self) -> float:
        """Memory of the serving process."""
        return float(psutil.Process(self.worker_pid).memory_info().rss / 1e6)

    def signal(self, number: signal.Signals) -> None:
        """Signal the master."""
        self.process.send_signal(number)

    def log(self) -> str:
        """What the process wrote."""
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        self._log.unlink(missing_ok=True)
