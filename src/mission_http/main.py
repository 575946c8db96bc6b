"""
The command line: environment, settings, application.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from mission_http.settings import Settings, SettingsError, settings_from

if TYPE_CHECKING:
    import uvicorn

    from mission_http.app import MissionApp

app = App(name="mission-control", help="A control plane for fleets of AI agents.")
audit = App(name="audit", help="Prove the log.")
app.command(audit)

DataDir = Annotated[Path | None, Parameter(help="Where data and generated secrets live.", env_var=[])]
DatabaseUrl = Annotated[str | None, Parameter(help="sqlite:///path or postgresql://user:password@host/name.")]


def main() -> None:
    """
    Run the command line; what cannot be started says why and exits with 2.
    """
    try:
        app()
    except SettingsError as e:
        print(f"mission-control: {e}", file=sys.stderr)
        sys.exit(2)


def application(settings: Settings) -> MissionApp:
    """
    The ASGI application with both dialects.
    """
    from mission_http.app import create_app
    from mission_http.boards.dialect import boards_dialect
    from mission_http.fleet.dialect import fleet_dialect
    from mission_http.wiring import from_settings

    return create_app(
        lambda: from_settings(settings),
        (boards_dialect(settings), fleet_dialect(settings)),
        security=settings.security,
    )


@app.command
def serve(
    *, host: str = "127.0.0.1", port: int = 8000, database_url: DatabaseUrl = None, data_dir: DataDir = None
) -> None:
    """
    Serve the Fleet API and the Boards API.
    """
    import uvicorn

    settings = settings_from(data_dir=data_dir, database_url=database_url)
    config = uvicorn.Config(
        application(settings), host=host, port=port, log_level="warning", access_log=False, lifespan="on",
        server_header=False, date_header=True, timeout_graceful_shutdown=30,
    )  # fmt: skip
    server = _server(config, settings)
    server.run()
    if not server.started:
        sys.exit(3)


def _server(config: uvicorn.Config, settings: Settings) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        """
        A server that says where it listens, and for which a signal to stop is a good end.
        """

        async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
            await super().startup(sockets)  # type: ignore[arg-type]
            if self.started:
                _announce(self, settings)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            stops = (signal.SIGINT, signal.SIGTERM)
            before = {each: signal.signal(each, self.handle_exit) for each in stops}
            try:
                yield
            finally:
                for each, handler in before.items():
                    signal.signal(each, handler)

    return Server(config)


def _announce(server: uvicorn.Server, settings: Settings) -> None:
    host, port = server.config.host, server.config.port
    for listening in server.servers:
        for socket in listening.sockets:
            host, port = socket.getsockname()[:2]
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    generated = sorted(set(settings.credentials) - settings.given)
    print(f"Mission Control listens on {base}", flush=True)
    print(f"  documentation  {base}/docs", flush=True)
    print(f"  data           {settings.data_dir}", flush=True)
    for name, value in settings.credentials.items():
        shown = value if name in generated else "as set in the environment"
        print(f"  {name:<16} {shown}", flush=True)
    print('  try            curl -H "x-api-key: $API_KEY" ' + f"{base}/api/tasks", flush=True)


@app.command
def token(*, data_dir: DataDir = None) -> None:
    """
    Print each credential with its name.
    """
    for name, value in settings_from(data_dir=data_dir).credentials.items():
        print(f"{name}={value}")


@app.command
def migrate(*, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Bring the database to the newest schema.
    """
    from mission_adapters.sql.migrations import migrate as run_migrations

    settings = settings_from(data_dir=data_dir, database_url=database_url)
    print(f"the database is at revision {run_migrations(settings.database_url)}")


@audit.command
def verify(*, database_url: DatabaseUrl = None, data_dir: DataDir = None) -> None:
    """
    Follow the chain of every organization's log; names the first entry that does not fit, and then exits with 1.
    """
    settings = settings_from(data_dir=data_dir, database_url=database_url)
    if not asyncio.run(_verify(settings)):
        sys.exit(1)


async def _verify(settings: Settings) -> bool:
    from mission_core.events.model import Misfit
    from mission_core.events.use_cases import verify_log
    from mission_http.wiring import store_ports

    sound = True
    async with store_ports(settings) as ports:
        for organization in await ports.credentials.organizations():
            found = await verify_log(ports.log, organization)
            if isinstance(found, Misfit):
                sound = False
                print(f"organization {organization}: entry {found.position} {found.reason}")
            else:
                print(f"organization {organization}: {found.position} entries, digest {found.digest.hex()}: sound")
    return sound


if __name__ == "__main__":
    main()
