"""
The routing table: a tree of path segments, so that the cost of a lookup does not depend on the number of endpoints.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import Factory

from mission_core.lazy_attrs import define, frozen
from mission_http.platform.endpoints import Dialect, Endpoint, EndpointGroup
from mission_http.platform.rate_limits import check_rate_limit_classes


@frozen(eq=False)
class Route:
    """
    An endpoint in the routing table, with the names of its path parameters.
    """

    dialect: Dialect
    endpoint: Endpoint
    names: tuple[str, ...]


@define(eq=False)
class RouteNode:
    """
    A node of the tree: its child segments, and the routes of its path.

    Args:
        pending: The groups with endpoints here or below that no request has needed yet.
    """

    literals: dict[str, RouteNode] = Factory(dict)
    parameter: RouteNode | None = None
    routes: dict[str, Route] = Factory(dict)
    reserved: bool = False
    pending: list[tuple[Dialect, EndpointGroup]] = Factory(list)


@frozen(eq=False)
class RouteMatch:
    """
    A known path: its routes by method, and the values of its path parameters.
    """

    dialect: Dialect
    routes: dict[str, Route]
    values: tuple[str, ...]

    def allow(self, dialect: Dialect) -> tuple[str, ...]:
        """
        The methods that the path supports, sorted, for the `Allow` header.
        """
        methods = set(self.routes)
        if "GET" in methods:
            methods.add("HEAD")
        if dialect.http_options.answers_options:
            methods.add("OPTIONS")
        return tuple(sorted(methods))


@frozen(eq=False)
class RouteTree:
    """
    The routing table of all HTTP APIs (dialects).

    A literal segment takes precedence over a parameter where both lead to a known path. A reserved path is unknown even
    where a parameter would match it. The endpoints of a group are added when a path first leads to one of its own.
    """

    root: RouteNode
    fixed: dict[str, RouteMatch]
    """The paths without parameters that were found."""

    @classmethod
    def of(cls, dialects: Iterable[Dialect]) -> RouteTree:
        tree = cls(RouteNode(), {})
        for dialect in dialects:
            for part in dialect.endpoints.parts:
                if isinstance(part, EndpointGroup):
                    for path in part.paths:
                        tree._node(dialect.prefix + path)[0].pending.append((dialect, part))
                else:
                    tree._add(dialect, part)
            for path in dialect.reserved:
                tree._node(dialect.prefix + path)[0].reserved = True
        return tree

    def _add_pending(self, node: RouteNode) -> None:
        for dialect, group in node.pending:
            endpoints = group.endpoints
            for path in group.paths:
                others = self._node(dialect.prefix + path)[0]
                others.pending = [each for each in others.pending if each[1] is not group]
            for endpoint in endpoints:
                self._add(dialect, endpoint)

    def _add(self, dialect: Dialect, endpoint: Endpoint) -> None:
        check_rate_limit_classes(dialect, endpoint)
        path = dialect.path_of(endpoint)
        node, names = self._node(path)
        if endpoint.method in node.routes:
            raise ValueError(f"{endpoint.method} {path} is declared twice")
        node.routes[endpoint.method] = Route(dialect, endpoint, tuple(names))

    def _node(self, path: str) -> tuple[RouteNode, list[str]]:
        """
        Find or create the node of a path, and list the names of its parameters.
        """
        node, names = self.root, list[str]()
        for segment in path.split("/")[1:]:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or RouteNode()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, RouteNode())
        return node, names

    def find(self, path: str) -> RouteMatch | None:
        """
        Find the routes of a path; None if the path is unknown.
        """
        place = self.fixed.get(path)
        if place is not None:
            return place
        segments = path.split("/")
        values: list[str] = []
        node = self._first_choice(segments, values)
        if node is None:
            values.clear()
            node = self._walk(self.root, segments, 1, values)
        if node is None or not node.routes:
            return None
        place = RouteMatch(next(iter(node.routes.values())).dialect, node.routes, tuple(values))
        if not values:
            self.fixed[path] = place
        return place

    def _first_choice(self, segments: list[str], values: list[str]) -> RouteNode | None:
        """
        Follow the literals where there are some, and parameters elsewhere. This finds the node of most paths; `_walk`
        also goes back to parameters where a literal led nowhere.
        """
        node = self.root
        for segment in segments[1:]:
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
            elif node.parameter is not None and segment:
                values.append(segment)
                node = node.parameter
            else:
                return None
            if node.pending:
                self._add_pending(node)
        return node if node.routes or node.reserved else None

    def _walk(self, node: RouteNode, segments: list[str], depth: int, values: list[str]) -> RouteNode | None:
        if node.pending:
            self._add_pending(node)
        if depth == len(segments):
            return node if node.routes or node.reserved else None
        segment = segments[depth]
        literal = node.literals.get(segment)
        if literal is not None:
            found = self._walk(literal, segments, depth + 1, values)
            if found is not None:
                return found
        if node.parameter is None or not segment:
            return None
        values.append(segment)
        found = self._walk(node.parameter, segments, depth + 1, values)
        if found is None:
            values.pop()
        return found
