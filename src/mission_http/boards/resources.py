"""
The list, create, read, change and delete operations of a kind of entities that admins keep for their organization.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, get_type_hints

from attrs import NOTHING, fields
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.model import Principal
from mission_core.errors import Conflict, Denied, VersionMismatch
from mission_core.kinds import EntityT, Kind
from mission_core.lazy_attrs import frozen
from mission_core.ports import Ports
from mission_http.boards.access import USER, path_id, require_admin, row_not_found_first
from mission_http.boards.payloads import LimitOffsetPage, OkResponse, PageQuery, sent_fields
from mission_http.boards.responses import page_response, versioned_response
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint, Handler
from mission_http.platform.etags import IF_MATCH, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body
from mission_http.platform.idempotency import IDEMPOTENCY_KEY, perform_once, read_row_again
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

Command = Callable[..., Any]
UseCase = Callable[[Ports, Principal, Any], Awaitable[EntityT]]
Payloads = list[Any]


@frozen(kw_only=True)
class Resource(Generic[EntityT]):
    """
    A kind of entities as the Boards API shows it. Each method returns the endpoint of one operation, with *summary* as
    its description in the OpenAPI document.

    A command is called with the fields of the body. Unless the operation *takes* another body, that has the fields of
    the command, without those that the path and the headers give.

    Args:
        noun: The word in the names of the operations.
        key: The command's field with the id of the entity.
        path: The path of the list.
        parameter: The path parameter with the id.
        gives: The payload class.
        order: The key that sorts the list.
        show: Renders entities as payloads, if that needs more than the entities.
        require: Requires what a reader needs, beside the organization.
        denies: The errors of *require*.
    """

    kind: Kind[EntityT]
    noun: str
    key: str
    path: str
    parameter: str
    tag: str
    gives: Any
    order: Callable[[EntityT], Any]
    show: Callable[[Request, Sequence[EntityT]], Awaitable[Payloads]] | None = None
    require: Callable[[Principal], None] | None = None
    denies: tuple[type[Denied], ...] = ()

    def list(self, summary: str, *, paged: bool = True) -> Endpoint:
        """
        `GET` of the list: a page of it, or with `paged=False` the whole.
        """

        async def handle(request: Request) -> Response:
            query = query_of(request, PageQuery) if paged else None
            found = await ports_of(request).reads.entities.every(self._reader(request), self.kind)
            rows = sorted(found, key=self.order)
            if query is None:
                return json_response(await self._shown(request, rows))
            items = await self._shown(request, rows[query.offset : query.offset + query.limit])
            return page_response(items, len(rows), query)

        gives: Any = LimitOffsetPage if paged else list
        return self._endpoint(
            "GET", self.path, handle, f"list_{self.noun}s", summary, gives=gives[self.gives],
            query=PageQuery if paged else None, refuses=self.denies,
        )  # fmt: skip

    def create(
        self,
        command: Command,
        use_case: UseCase[EntityT],
        summary: str,
        *,
        takes: type | None = None,
        refuses: tuple[type[Conflict], ...] = (),
    ) -> Endpoint:
        """
        `POST` to the list, once for an `Idempotency-Key`.
        """
        body, again = takes or self._body_of(command, "Create"), read_row_again(self.kind)

        async def handle(request: Request) -> Response:
            require_admin(request)
            made = command(**sent_fields(await body_of(request, body)))
            return await self._response(request, await perform_once(request, use_case, made, again))

        return self._endpoint(
            "POST", self.path, handle, f"create_{self.noun}", summary, takes=body, headers=(IDEMPOTENCY_KEY,),
            refuses=refuses,
        )  # fmt: skip

    def read(self, summary: str) -> Endpoint:
        """
        `GET` of one entity.
        """

        async def handle(request: Request) -> Response:
            return await self._response(request, await self.row_in_path(request))

        refuses = (self.kind.missing, *self.denies)
        return self._endpoint("GET", self._item, handle, f"get_{self.noun}", summary, refuses=refuses)

    def change(
        self,
        command: Command,
        use_case: UseCase[EntityT],
        summary: str,
        *,
        takes: type | None = None,
        refuses: tuple[type[Conflict], ...] = (),
    ) -> Endpoint:
        """
        `PATCH` of one entity.
        """
        body = takes or self._body_of(command, "Update")

        async def handle(request: Request) -> Response:
            principal, id = require_admin(request), path_id(request, self.parameter)
            async with row_not_found_first(request, self.kind, id):
                given = sent_fields(await body_of(request, body))
                made = command(**{self.key: id}, expects=expected_version_of(request), **given)
                row = await use_case(ports_of(request), principal, made)
            return await self._response(request, row)

        return self._endpoint(
            "PATCH", self._item, handle, f"update_{self.noun}", summary, takes=body, headers=(IF_MATCH,),
            refuses=(self.kind.missing, *refuses, VersionMismatch),
        )  # fmt: skip

    def delete(
        self, command: Command, use_case: UseCase[EntityT], summary: str, *, refuses: tuple[type[Conflict], ...] = ()
    ) -> Endpoint:
        """
        `DELETE` of one entity.
        """

        async def handle(request: Request) -> Response:
            principal, id = require_admin(request), path_id(request, self.parameter)
            async with row_not_found_first(request, self.kind, id):
                made = command(**{self.key: id}, expects=expected_version_of(request))
                await use_case(ports_of(request), principal, made)
            return json_response(OkResponse())

        return self._endpoint(
            "DELETE", self._item, handle, f"delete_{self.noun}", summary, gives=OkResponse, headers=(IF_MATCH,),
            refuses=(self.kind.missing, *refuses, VersionMismatch),
        )  # fmt: skip

    async def row_in_path(self, request: Request) -> EntityT:
        """
        The entity that the path names.

        Raises:
            NotFound: The kind's own error, if there is none.
        """
        id = path_id(request, self.parameter)
        return await ports_of(request).reads.entities.get(self._reader(request), self.kind, id)

    def _reader(self, request: Request) -> Principal:
        principal = principal_of(request)
        if self.require is not None:
            self.require(principal)
        return principal

    @property
    def _item(self) -> str:
        return f"{self.path}/{{{self.parameter}}}"

    def _body_of(self, command: Any, verb: str) -> type:
        """
        The body class with the fields of a command.
        """
        hints = get_type_hints(command, include_extras=True)
        given = [each for each in fields(command) if each.name not in (self.key, "expects")]
        body: dict[str, Any] = {each.name: each.default for each in given if each.default is not NOTHING}
        body["__annotations__"] = {each.name: hints[each.name] for each in given}
        return type(self.gives.__name__.removesuffix("Read") + verb, (Body,), body)

    def _endpoint(self, method: str, path: str, handle: Handler, name: str, summary: str, **more: Any) -> Endpoint:
        handle.__name__, handle.__doc__ = name, summary
        return Endpoint(method, path, handle, who=USER, tags=(self.tag,), **({"gives": self.gives} | more))

    async def _shown(self, request: Request, rows: Sequence[EntityT]) -> Payloads:
        return await self.show(request, rows) if self.show else [self.gives.of(row) for row in rows]

    async def _response(self, request: Request, row: EntityT) -> Response:
        (shown,) = await self._shown(request, [row])
        return versioned_response(shown)
