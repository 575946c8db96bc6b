"""
The command line `mission-control`, its command `serve`, and the factory of its ASGI application.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from mission_core.errors import StoreFailed
from mission_core.extras import install_command
from mission_http.settings import METRICS_TOKEN_VARIABLE, Settings, SettingsError, settings_from
from mission_http.worker_settings import MAX_WORKERS, check_workers

if TYPE_CHECKING:
    from socket import socket

    from mission_core.ports import Ports
    from mission_http.app import MissionApp, OpenLimiter, OpenPorts
    from mission_http.connection_counts import ConnectionCounts
    from mission_http.metrics.server_metrics import ServerMetrics
    from mission_http.platform.request_logs import RequestLog
    from mission_http.server import Banner
    from mission_http.workers import WorkerContext

logger = logging.getLogger("mission_http")

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8000
MAX_PORT: Final = 65_535
YOUNG_OBJECTS: Final = 10_000
"""How many more objects must have come than gone before the garbage collector of a server runs."""
SIGPIPE_EXIT_STATUS: Final = 141
"""The exit status that shells report for a program ended by SIGPIPE."""


def main() -> None:
    """
    Run the command line. Invalid settings and database failures are printed, and exit with 2.
    """
    try:
        try:
            _run(sys.argv[1:])
        finally:
            print(end="", flush=True)
    except SettingsError as e:
        print(f"mission-control: {e}", file=sys.stderr)
        sys.exit(2)
    except StoreFailed as e:
        print("mission-control:", *f"the database failed: {e}".split(), file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader closed the pipe; the interpreter must not flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(SIGPIPE_EXIT_STATUS)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(arguments: Sequence[str]) -> None:
    served = serve_arguments(arguments)
    if served is not None:
        serve(**served)
        return
    gc.enable()
    from mission_http.command_line import app

    app(arguments)


def serve_arguments(arguments: Sequence[str]) -> Mapping[str, Any] | None:
    """
    Parse a plain `serve` command: each flag once, with a valid value after it.

    A serving process then does without the library that parses all other commands, writes their help and explains
    errors, which takes time and memory.

    Returns:
        The arguments of `serve`; None for any other command line.
    """
    command, *given = arguments or [""]
    found: dict[str, Any] = {}
    for flag, text in zip(given[::2], given[1::2], strict=False):
        value = SERVE_FLAGS[flag](text) if flag in SERVE_FLAGS and not text.startswith("-") and text.strip() else None
        name = flag.removeprefix("--").replace("-", "_")
        if value is None or name in found:
            return None
        found[name] = value
    return found if command == "serve" and len(given) % 2 == 0 else None


def _number_in(least: int, most: int) -> Callable[[str], int | None]:
    def number(text: str) -> int | None:
        return int(text) if text.isascii() and text.isdecimal() and least <= int(text) <= most else None

    return number


SERVE_FLAGS: Final[Mapping[str, Callable[[str], Any]]] = {
    "--host": str,
    "--port": _number_in(0, MAX_PORT),
    "--workers": _number_in(1, MAX_WORKERS),
    "--database-url": str,
    "--data-dir": Path,
}
"""The flags of `serve`, and the readers of their values, which return None for an invalid value."""


def current_settings(data_dir: Path | None, database_url: str | None) -> Settings:
    """
    Read the settings. First complete an interrupted restore or rotation of the secret.
    """
    from mission_http.wiring import is_restore_interrupted, with_current_auth_secret

    settings = settings_from(data_dir=data_dir, database_url=database_url)
    if is_restore_interrupted(settings):
        from mission_http.maintenance import complete_interrupted_restore

        complete_interrupted_restore(settings)
        settings = settings_from(data_dir=data_dir, database_url=database_url)
    return settings if settings.next_auth_secret is None else asyncio.run(with_current_auth_secret(settings))


def application(
    settings: Settings,
    wire: OpenPorts | None = None,
    *,
    limiter: OpenLimiter | None = None,
    log: RequestLog | None = None,
    metrics: ServerMetrics | None = None,
) -> MissionApp:
    """
    Build the ASGI application with both APIs, the receiver of OpenTelemetry and the page.

    Args:
        wire: Opens the ports; by default those over the database of the settings.
        limiter: Opens the rate limiter; by default the one of the settings.
        log: Logs requests; by default they are not logged.
        metrics: Served at `/metrics` if the settings have a token for it; by default those of this process alone.

    Raises:
        SettingsError: If metrics are to be served and the extra for it is missing.
    """
    from mission_http.app import create_app
    from mission_http.boards.dialect import boards_dialect
    from mission_http.fleet.dialect import fleet_dialect
    from mission_http.otlp.dialect import otlp_dialect
    from mission_http.pages.dialect import pages_dialect
    from mission_http.wiring import decode_telemetry, ports_from_settings, rate_limiter_from_settings

    dialects = [
        boards_dialect(settings), fleet_dialect(settings), otlp_dialect(settings, decode_telemetry),
        pages_dialect(settings),
    ]  # fmt: skip
    metrics = metrics or server_metrics(settings)
    if metrics is not None and settings.metrics_token is not None:
        from mission_http.metrics.dialect import metrics_dialect

        dialects.append(metrics_dialect(settings.metrics_token, metrics))
    return create_app(
        wire or (lambda: ports_from_settings(settings)),
        dialects,
        security=settings.security,
        network=settings.network,
        limiter=limiter or (lambda: rate_limiter_from_settings(settings)),
        quotas=settings.rate_limits.quotas,
        streams=settings.streams,
        log=log,
        durations=None if metrics is None else metrics.durations,
    )


def server_metrics(settings: Settings, *, processes: int = 1) -> ServerMetrics | None:
    """
    Empty metrics for this number of processes; None if the settings have no token for them.

    Raises:
        SettingsError: If the extra for them is missing.
    """
    if settings.metrics_token is None:
        return None
    if find_spec("prometheus_client") is None:
        raise SettingsError(f"{METRICS_TOKEN_VARIABLE}: metrics need the extra", install_command("metrics"))
    from mission_http.metrics.server_metrics import ServerMetrics

    return ServerMetrics.of(processes)


def serve(
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    workers: int | None = None,
    database_url: str | None = None,
    data_dir: Path | None = None,
) -> None:
    """
    Serve the Fleet API and the Boards API.
    """
    gc.disable()  # objects made at the start stay; collecting in between takes a tenth of the start
    settings = current_settings(data_dir, database_url)
    if workers is not None:
        settings = evolve(settings, workers=workers)
    check_workers(settings)
    if settings.workers > 1:
        _serve_with_workers(settings, host, port)
        return
    with asyncio.Runner(loop_factory=event_loop()) as runner:
        runner.run(_serve(settings, host, port))


def event_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ModuleNotFoundError:  # not available on Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _serve(settings: Settings, host: str, port: int) -> None:
    from mission_http.logs.configuration import configure_logging
    from mission_http.server import Server
    from mission_http.wiring import ports_from_settings, rate_limiter_from_settings

    log = configure_logging(settings.logs, secrets=settings.redacted_values)
    metrics = server_metrics(settings)
    sockets = _listening_sockets(settings, host, port)
    # Opened before the server is made, so that settings errors reach the terminal unchanged.
    async with rate_limiter_from_settings(settings) as limiter, ports_from_settings(settings) as ports:
        app = application(
            settings, lambda: nullcontext(ports), limiter=lambda: nullcontext(limiter), log=log, metrics=metrics
        )
        server = Server(app, settings, announce=(await _banner(settings, ports)).print)
        collect_garbage()
        await server.serve(sockets)


def collect_garbage() -> None:
    """
    Let the garbage collector run, but leave what was made at the start alone, and run it rarely: a request leaves no
    garbage in cycles unless it fails, and then little.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()


def _listening_sockets(settings: Settings, host: str, port: int) -> list[socket]:
    """
    Bind the sockets, and log what is dangerous about the settings of a server that listens on them.
    """
    from mission_http.doctor.identity_providers import proxy_auth_warnings as identity_warnings
    from mission_http.doctor.listen_address import ListenAddressState
    from mission_http.doctor.network_settings import startup_warnings
    from mission_http.server import bind_sockets

    sockets = bind_sockets(host, port)
    for warning in (
        *startup_warnings(settings.network, ListenAddressState.from_sockets(sockets)),
        *identity_warnings(settings.identity_providers),
    ):
        logger.warning("%s", warning)
    return sockets


async def _banner(settings: Settings, ports: Ports) -> Banner:
    from mission_core.accounts.first_admin import needs_setup
    from mission_http.doctor.server_key import replacement_notice_from_ports
    from mission_http.server import Banner

    return Banner(
        settings,
        needs_setup=await needs_setup(ports),
        replaced_key_notice=await replacement_notice_from_ports(ports, settings.api_key),
    )


def _serve_with_workers(settings: Settings, host: str, port: int) -> None:
    """
    Prepare the database in this process, then serve in worker processes that share the sockets.
    """
    from mission_http.logs.configuration import configure_logging
    from mission_http.logs.line_locks import LineLock
    from mission_http.server import KILL_SECONDS
    from mission_http.wiring import ports_from_settings, rate_limiter_from_settings
    from mission_http.workers import WorkersFailed, WorkerSupervisor

    lock = LineLock.open()
    configure_logging(settings.logs, secrets=settings.redacted_values, lock=lock)
    metrics = server_metrics(settings, processes=settings.workers + 1)  # a restart has one worker more
    sockets = _listening_sockets(settings, host, port)

    async def prepare() -> Banner:
        async with rate_limiter_from_settings(settings), ports_from_settings(settings, sweeps=False) as ports:
            app = application(settings, lambda: nullcontext(ports), metrics=metrics)
            app.import_endpoints()  # once for all workers
            if metrics is not None:
                metrics.durations.number(app.documents.dialects)
            return await _banner(settings, ports)

    def run(context: WorkerContext) -> int:
        log = configure_logging(settings.logs, secrets=settings.redacted_values, lock=lock, worker=context.number)
        with asyncio.Runner(loop_factory=event_loop()) as runner:
            try:
                runner.run(_serve_as_worker(settings, sockets, context, supervisor.counts, log, metrics))
            except SettingsError as e:
                context.tell_failure(str(e))
                return 2
        return 0

    banner = asyncio.run(prepare())  # asyncio's own loop leaves no thread behind, which a fork would lose
    gc.freeze()
    supervisor = WorkerSupervisor(
        count=settings.workers,
        run=run,
        sockets=sockets,
        announce=partial(banner.print, sockets[0]),
        stop_seconds=settings.connections.stop + KILL_SECONDS,
    )
    try:
        supervisor.supervise()
    except WorkersFailed as e:
        print(f"mission-control: no worker can start: {e}", file=sys.stderr)
        sys.exit(1)


async def _serve_as_worker(
    settings: Settings,
    sockets: list[socket],
    context: WorkerContext,
    counts: ConnectionCounts,
    log: RequestLog,
    metrics: ServerMetrics | None,
) -> None:
    from mission_http.wiring import ports_from_settings, rate_limiter_from_settings
    from mission_http.worker_server import WorkerServer
    from mission_http.workers import stop_with_supervisor

    own = None if metrics is None else metrics.at(context.place)
    async with (
        rate_limiter_from_settings(settings) as limiter,
        ports_from_settings(settings, sweeps=context.number == 1) as ports,
        nullcontext() if own is None else own.telling_pools(ports),
    ):
        app = application(
            settings, lambda: nullcontext(ports), limiter=lambda: nullcontext(limiter), log=log, metrics=own
        )
        server = WorkerServer(
            app, settings, announce=lambda _: context.tell_ready(), counts=counts, place=context.place
        )
        stop_with_supervisor(context, server.stop)
        collect_garbage()
        await server.serve(sockets)


if __name__ == "__main__":
    main()
