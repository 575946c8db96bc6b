"""
The dispatcher: finds the endpoint of a request, calls its handler, and renders errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mission_core.errors import Refusal
from mission_core.lazy_attrs import frozen
from mission_http.platform.bodies import check_syntax
from mission_http.platform.endpoints import Dialect, log_unexpected_error
from mission_http.platform.errors import MethodRefused, PathUnknown
from mission_http.platform.exchange import SCOPE_KEY, Exchange
from mission_http.platform.indexed_requests import IndexedRequest
from mission_http.platform.rate_limits import count_request
from mission_http.platform.routes import Route, RouteMatch, RouteTree


@frozen(eq=False)
class Dispatcher:
    """
    ASGI application that passes every request to one HTTP API (dialect): that of the path's prefix, or else the first.
    """

    dialects: tuple[Dialect, ...]
    tree: RouteTree
    homes: tuple[tuple[str, Dialect], ...]
    base_path: str = ""
    """The path prefix of the public base URL, if it has one."""

    @classmethod
    def of(cls, dialects: Iterable[Dialect], base_path: str = "") -> Dispatcher:
        dialects = tuple(dialects)
        homes = [(prefix, dialect) for dialect in dialects for prefix in (dialect.prefix, *dialect.also)]
        homes.sort(key=lambda home: len(home[0]), reverse=True)
        return cls(dialects, RouteTree.of(dialects), tuple(homes), base_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = IndexedRequest(scope, receive, send)
        exchange: Exchange = scope[SCOPE_KEY]
        root = scope.get("root_path", "")
        path = _below(root, scope["path"]) if root else scope["path"]
        place = self.tree.find(path)
        if place is None and self.base_path:  # some proxies strip the prefix, others keep it
            path = _below(self.base_path, path)
            place = self.tree.find(path)
        exchange.path, exchange.mount = path, self.base_path or root
        dialect = exchange.dialect = self._dialect_for(path) if place is None else place.dialect
        try:
            response = await self._answer(request, exchange, dialect, place)
        except ClientDisconnect:
            return
        except Exception as error:
            response = dialect.refuse(error, request)
        if scope["method"] == "HEAD":
            response = _without_body(response)
        try:
            await response(scope, receive, send)
        except ClientDisconnect:
            return
        except Exception as error:
            if exchange.started:
                log_unexpected_error(error, request)
                raise
            await dialect.refuse(error, request)(scope, receive, send)

    async def refuse(self, error: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer a request that could not be parsed with an error, in the dialect of its path.
        """
        request, exchange = IndexedRequest(scope, receive, send), scope[SCOPE_KEY]
        exchange.dialect = self._dialect_for(scope["path"])
        await exchange.dialect.refuse(error, request)(scope, receive, send)

    def _dialect_for(self, path: str) -> Dialect:
        for prefix, dialect in self.homes:
            if path == prefix or path.startswith(prefix + "/"):
                return dialect
        return self.dialects[0]

    async def _answer(
        self, request: Request, exchange: Exchange, dialect: Dialect, place: RouteMatch | None
    ) -> Response:
        route = None if place is None else _route_for(request.scope["method"], place)
        if dialect.limit is not None:
            await count_request(request, dialect.limit)
        if place is None and self.tree.find(exchange.path.rstrip("/")) is not None:
            return _redirect_to_bare(request, exchange)
        if dialect.precheck is not None:
            dialect.precheck(request, None if route is None else route.endpoint)
        if place is None:
            raise PathUnknown(exchange.path)
        if route is None:
            return _wrong_method(request.scope["method"], dialect, place)
        endpoint = exchange.endpoint = route.endpoint
        request.scope["path_params"] = dict(zip(route.names, place.values, strict=True))
        if endpoint.takes is not None and dialect.http_options.syntax_first:
            await check_syntax(request)
        if not endpoint.who.public:
            exchange.principal = await dialect.authenticate(request, endpoint.who)
        for limit in endpoint.limits:
            await count_request(request, limit)
        return await endpoint.handler(request)


def _below(mount: str, path: str) -> str:
    """
    Remove the mount point from a path, if the path is below it.
    """
    return path[len(mount) :] or "/" if path == mount or path.startswith(f"{mount}/") else path


def _route_for(method: str, place: RouteMatch) -> Route | None:
    return place.routes.get("GET" if method == "HEAD" else method)


def _wrong_method(method: str, dialect: Dialect, place: RouteMatch) -> Response:
    allow = place.allow(dialect)
    if method == "OPTIONS" and dialect.http_options.answers_options:
        return Response(status_code=204, headers={"allow": ", ".join(allow)})
    raise MethodRefused(method, allow)


def _redirect_to_bare(request: Request, exchange: Exchange) -> Response:
    target = quote(exchange.mount + exchange.path.rstrip("/"))
    query = request.scope["query_string"].decode("latin-1")
    return Response(status_code=308, headers={"location": f"{target}?{query}" if query else target})


def _without_body(response: Response) -> Response:
    bare = Response(status_code=response.status_code)
    bare.raw_headers = response.raw_headers
    return bare
