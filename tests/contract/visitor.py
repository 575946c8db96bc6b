"""
A browser at a server process.
"""

import http.client
import json
from http.cookies import Morsel, SimpleCookie
from typing import Any

from attrs import define, field

from tests.contract.browser import sent_back


@define
class Visitor:
    """
    A browser at a server process, perhaps with a proxy in between that ends https.
    """

    port: int
    https: bool = False
    headers: dict[str, str] = field(factory=dict)
    jar: dict[str, str] = field(factory=dict)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = dict(self.headers)
        if self.jar:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        response = connection.getresponse()
        answer = json.loads(response.read())
        for line in response.headers.get_all("set-cookie", []):
            self.keep(list(SimpleCookie(line).values()))
        connection.close()
        return response.status, answer

    def keep(self, cookies: list[Morsel[str]]) -> None:
        self.jar |= {each.key: each.value for each in cookies if sent_back(each, https=self.https)}

    def stays_signed_in(self) -> bool:
        return self.ask("GET", "/api/auth/me")[0] == 200
