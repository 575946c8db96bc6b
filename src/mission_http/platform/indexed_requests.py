"""
Requests whose headers are indexed once, so that a lookup does not search them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request

from mission_http.platform.exchange import SCOPE_KEY


class IndexedHeaders(Headers):
    """
    The headers of a request, with an index of the first value of each name.
    """

    def __init__(self, raw: list[tuple[bytes, bytes]], first_values: Mapping[bytes, bytes]) -> None:
        super().__init__(raw=raw)
        self._first_values = first_values

    def __getitem__(self, key: str) -> str:
        return self._first_values[key.lower().encode("latin-1")].decode("latin-1")

    def get(self, key: str, default: Any = None) -> Any:
        value = self._first_values.get(key.lower().encode("latin-1"))
        return default if value is None else value.decode("latin-1")

    def __contains__(self, key: Any) -> bool:
        return key.lower().encode("latin-1") in self._first_values


class IndexedRequest(Request):
    """
    A request whose exchange has its headers.
    """

    _indexed_headers: IndexedHeaders | None = None

    @property
    def headers(self) -> Headers:
        headers = self._indexed_headers
        if headers is None:
            headers = self._indexed_headers = IndexedHeaders(self.scope["headers"], self.scope[SCOPE_KEY].headers)
        return headers

    @property
    def cookies(self) -> dict[str, str]:
        return super().cookies if b"cookie" in self.scope[SCOPE_KEY].headers else {}
