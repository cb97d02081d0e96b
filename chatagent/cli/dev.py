"""`chatagent dev`: Redis, a worker and the gateway in one command, for development on this machine."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
import sys
import time
import webbrowser
from pathlib import Path
from typing import Annotated

import httpx
import redis as redis_client
import typer

from chatagent.cli.console import Console
from chatagent.cli.settings import read_settings
from chatagent.cli.supervisor import Child, Supervisor
from chatagent.cli.web import DEFAULT_PORT, web_program
from chatagent.cli.worker import AgentFile, child_name, worker_program
from chatagent.errors import ConfigError, StoreDown
from chatagent.redis.connection import connect
from chatagent.redis.directory import Directory
from chatagent.redis.embedded import EmbeddedRedis
from chatagent.redis.keys import Keys
from chatagent.settings import Settings, masked

#: What our worker is called on the console, and before the `@` in Celery.
_WORKER = "worker"
#: Seconds until everything must be up, and after which we say what is missing.
_READY_S = 180.0
_PATIENCE_S = 20.0
#: Seconds that running turns get after Ctrl-C; what is not done then goes on at the next start.
_GRACE_S = 3.0
#: Seconds between looks at the gateway while it starts, and at Redis.
_LOOK_S = 0.15
_WATCH_S = 1.0


def dev(
    file: AgentFile = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the page; 0 takes a free one.")] = DEFAULT_PORT,
    redis: Annotated[str | None, typer.Option(help="URL of a running Redis (REDIS_URL); without: our own.")] = None,
    open: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    data: Annotated[Path | None, typer.Option(help="Folder for Redis and the secret (CHATAGENT_DATA_DIR).")] = None,
) -> None:
    """Run everything at once: Redis, a worker, the gateway and the page."""
    settings = read_settings(redis_url=redis, data_dir=data)
    if file is not None and not file.exists():
        raise ConfigError(f"{file}: no such file or folder")
    port = port or _free_port()
    _require_free(port)
    console = Console()
    try:
        code = asyncio.run(_Development(settings, file, port, console, open_page=open).run())
    finally:
        console.close()
    raise typer.Exit(code)


class _Development:
    """One `chatagent dev` from start to end."""

    def __init__(self, settings: Settings, file: Path | None, port: int, console: Console, *, open_page: bool) -> None:
        self._settings = settings
        self._file = file
        self._url = f"http://127.0.0.1:{port}/"
        self._port = port
        self._console = console
        self._open_page = open_page
        self._data = settings.data_dir.absolute()

    async def run(self) -> int:
        """Start everything, wait for Ctrl-C, end everything."""
        embedded = None if "redis_url" in self._settings.model_fields_set else EmbeddedRedis(self._data / "redis")
        prepare_data_dir(self._data)
        try:
            url = self._open_redis(embedded)
            env = self._environment(url)
            worker = Child(worker_program(self._settings, self._file, _WORKER, env), self._console)
            gateway = Child(web_program(self._port, env), self._console)
            watchers = [self._announce_ready(url), *([self._watch(embedded)] if embedded else [])]
            return await Supervisor(self._console).run([[worker], [gateway]], watchers)
        finally:
            if embedded is not None and embedded.url:
                down = embedded.release()
                self._console.say("stopped" if down else "stopped; another chatagent still uses redis")

    def _open_redis(self, embedded: EmbeddedRedis | None) -> str:
        if embedded is None:
            _require_answer(self._settings.redis_url)
            self._console.say(f"using {masked(self._settings.redis_url)}")
            return self._settings.redis_url
        embedded.acquire()
        how = "shared with another chatagent" if embedded.joined else "started"
        self._console.say(f"{embedded.about} {how}, data in {_short(embedded.folder)}", name="redis")
        return embedded.url

    def _environment(self, redis_url: str) -> dict[str, str]:
        """What the children run with; what the user set in the environment goes on as it is."""
        secret = self._settings.secret_key
        grace_s = self._settings.grace_s
        if "grace_s" not in self._settings.model_fields_set:
            grace_s = _GRACE_S
        return {
            "CHATAGENT_GRACE_S": str(grace_s),
            "CHATAGENT_REDIS_URL": redis_url,
            "CHATAGENT_SECRET_KEY": secret.get_secret_value() if secret else keep_secret(self._data / "secret_key"),
            "CHATAGENT_DATA_DIR": str(self._data),
            "CHATAGENT_DEV": "1",
            "CHATAGENT_LOG_COLOR": "always" if self._console.coloured else "never",
            "PYTHONUNBUFFERED": "1",
            # Celery's five lines about running as root are no news in a container.
            "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore:::celery.platforms"),
        }

    async def _announce_ready(self, redis_url: str) -> None:
        """Say so once the gateway reports that everything is up. Raises: ConfigError when that takes too long."""
        started = warned = time.monotonic()
        store = connect(redis_url)
        directory = Directory(store, Keys(self._settings.prefix))
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while missing := await _missing(client, self._url, directory):
                if time.monotonic() - warned > _PATIENCE_S:
                    warned = time.monotonic()
                    self._console.say(f"still waiting: {missing}")
                if time.monotonic() - started > _READY_S:
                    raise ConfigError(f"not ready after {_READY_S:.0f} s: {missing}")
                await asyncio.sleep(_LOOK_S)
        store.close()
        self._console.plain(f"chatagent ready  {self._url}")
        if self._open_page and _has_display():
            await asyncio.to_thread(webbrowser.open, self._url)
        await asyncio.Event().wait()

    async def _watch(self, embedded: EmbeddedRedis) -> None:
        """Start Redis again when it dies. Raises: ConfigError when it cannot be."""
        while True:
            await asyncio.sleep(_WATCH_S)
            if not embedded.alive():
                self._console.say("died; starting it again", name="redis")
                await asyncio.to_thread(embedded.revive)
                self._console.say(f"{embedded.about} is back", name="redis")


def prepare_data_dir(folder: Path) -> None:
    """Make the folder, for us alone and not for git."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


def keep_secret(path: Path) -> str:
    """The secret of this folder, made the first time; only its owner may read it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(fresh, path)  # whoever comes first wins, and nobody sees half a secret
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_text().strip()


async def _missing(client: httpx.AsyncClient, url: str, directory: Directory) -> str:
    """What is still waited for; empty when all is well. The gateway is asked last: it logs what it misses."""
    try:
        # Others may use the same Redis; ours is the one that serves the file.
        live = await asyncio.to_thread(directory.live_workers)
        if not any(name.startswith(f"{child_name(_WORKER)}@") for name in live):
            return "no worker is up yet"
        answer = await client.get(f"{url}healthz")
    except (StoreDown, httpx.HTTPError) as error:
        return str(error) if isinstance(error, StoreDown) else "the gateway does not answer yet"
    return "" if answer.status_code == httpx.codes.OK else answer.text.strip()[:300]


def _require_free(port: int) -> None:
    """Raises: ConfigError when we cannot listen there."""
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            probe.listen()
    except OSError as error:
        other = f"choose another: chatagent dev --port {_free_port()}"
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} is in use; stop the program that listens there, or {other}") from error
        raise ConfigError(f"port {port} cannot be used ({error.strerror}); {other}") from error


def _require_answer(url: str) -> None:
    """Raises: ConfigError when no Redis answers there."""
    client = connect(url)
    try:
        client.ping()
    except redis_client.RedisError as error:
        raise ConfigError(
            f"no Redis answers at {masked(url)} ({error}); start it, or leave out --redis and REDIS_URL for our own"
        ) from error
    finally:
        client.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _has_display() -> bool:
    """Whether a browser could show the page: never in CI or over a bare SSH line."""
    if not sys.stdout.isatty() or os.environ.get("CI"):
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _short(path: Path) -> str:
    """The path from here, when it is below here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
