"""
Operations on the soul of an agent, the text that describes its personality, and on soul templates, which are Markdown
files in an optional directory that the operator configures.

Three placeholders in a template are replaced by values; a template is never executed.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.accounts.model import KeyOfAnotherAgent
from mission_core.agents.model import MAX_SOUL_LENGTH, AgentNotFound
from mission_core.agents.queries import AgentRow
from mission_core.agents.souls import WriteSoul, write_soul
from mission_core.errors import NotFound, VersionMismatch
from mission_core.lazy_attrs import define, frozen
from mission_core.values import ABSENT, UNSTORABLE, Absent
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.errors import VALIDATION, InvalidRequest
from mission_http.fleet.path_parameters import agent_in, readable_agent_row
from mission_http.fleet.payloads import NamedAgentPayload
from mission_http.fleet.wire import FleetPayload, UnixSeconds, iso_of, seconds_of
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.field_annotations import Body, Length, Query, SchemaOverride
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of
from mission_http.platform.shapes import Given, Of, Payload

if TYPE_CHECKING:
    from mission_http.settings import Settings

INVALID_TEMPLATE_NAME: Final = "Invalid template name"
TEMPLATE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
PLACEHOLDER: Final = re.compile(r"\{\{(AGENT_NAME|AGENT_ROLE|TIMESTAMP)\}\}")
HEADING: Final = re.compile(r"^#+[ \t]+(\S.*?)[ \t#]*$", re.MULTILINE)
TEMPLATE_SUFFIX: Final = ".md"
SoulText = Annotated[str, Length(0, MAX_SOUL_LENGTH)]
ContentSource = Literal["workspace", "database", "none"]


@define(repr=False)
class TemplateNotFound(NotFound):
    """
    There is no soul template with this name.
    """

    name: str

    says = "Template not found"


class SoulTemplatePayload(Payload):
    """
    A soul template: its name, its first heading as description, and its size in bytes.
    """

    name: str
    description: str
    size: int


@frozen
class SoulTemplates:
    """
    The soul templates in a directory. Without a directory there are none.
    """

    directory: Path | None

    async def names(self) -> list[str]:
        """
        List the names of the templates, sorted.
        """
        return await asyncio.to_thread(lambda: sorted(path.stem for path in self._files()))

    async def all_templates(self) -> list[SoulTemplatePayload]:
        """
        List the templates, sorted by name.
        """
        return await asyncio.to_thread(lambda: [_template_from(path) for path in sorted(self._files())])

    async def read(self, name: str) -> str:
        """
        Read the text of a template.

        Raises:
            TemplateNotFound: If there is no template with this name.
        """

        def text() -> str:
            path = next((path for path in self._files() if path.stem == name), None)
            if path is None:
                raise TemplateNotFound(name)
            return _text_in(path)

        return await asyncio.to_thread(text)

    def _files(self) -> list[Path]:
        if self.directory is None or not self.directory.is_dir():
            return []
        found = self.directory.glob(f"*{TEMPLATE_SUFFIX}")
        return [path for path in found if TEMPLATE_NAME.fullmatch(path.stem) and path.is_file()]


def _template_from(path: Path) -> SoulTemplatePayload:
    heading = HEADING.search(_text_in(path))
    described = heading[1] if heading else f"{path.stem} template"
    return SoulTemplatePayload(name=path.stem, description=described, size=path.stat().st_size)


def _text_in(path: Path) -> str:
    return UNSTORABLE.sub("", path.read_text(encoding="utf-8", errors="replace"))


def fill_template(template: str, *, name: str, role: str, timestamp: str) -> str:
    """
    Replace the placeholders of a template with values. Placeholders inside values are not replaced.
    """
    values = {"AGENT_NAME": name, "AGENT_ROLE": role, "TIMESTAMP": timestamp}
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)


class SoulBody(Body):
    """
    A soul, or the name of a template to create it from. A template takes precedence.
    """

    soul_content: SoulText | Absent = ABSENT
    template_name: Annotated[Any, SchemaOverride({"type": "string"})] = None


class SoulTemplateQuery(Query):
    template: str | None = None


def text_or_empty(text: str | None) -> str:
    return text or ""


def content_source(text: str | None) -> ContentSource:
    return "database" if text else "none"


class SoulPayload(FleetPayload[AgentRow]):
    agent: Annotated[NamedAgentPayload, Of()]
    soul_content: Annotated[str, Of("soul", text_or_empty)]
    source: Annotated[ContentSource, Of("soul", content_source)]
    available_templates: Annotated[list[str], Given()]
    updated_at: UnixSeconds


class WrittenSoulPayload(Payload):
    success: bool
    message: str
    soul_content: str
    saved_to_workspace: bool
    updated_at: int


class SoulTemplatesPayload(Payload):
    """
    All soul templates, or the requested one.
    """

    templates: list[SoulTemplatePayload] | UnsetType = UNSET
    message: str | UnsetType = UNSET
    template_name: str | UnsetType = UNSET
    content: str | UnsetType = UNSET


@frozen
class SoulHandlers:
    """
    Handlers of souls and soul templates.
    """

    templates: SoulTemplates

    async def read(self, request: Request) -> Response:
        """
        Get an agent's soul.
        """
        row = await readable_agent_row(request)
        shown = SoulPayload.of(row, available_templates=await self.templates.names())
        return json_response(shown, headers={"etag": etag_of(row.version)})

    async def write(self, request: Request) -> Response:
        """
        Write an agent's soul, as text or from a template.

        In a template, `{{AGENT_NAME}}`, `{{AGENT_ROLE}}` and `{{TIMESTAMP}}` are replaced by the agent's name, its role
        and the current time.
        """
        body = await body_of(request, SoulBody)
        named, content = agent_in(request), body.soul_content
        template = body.template_name or None
        if template is not None:
            content = await self._from_template(request, template)
        if isinstance(content, Absent):
            raise InvalidRequest(VALIDATION, ("soul_content: send it, or the name of a template",))
        expects, principal = expected_version_of(request), principal_of(request)
        command = WriteSoul(agent=named, own=True, content=content, template=template, expects=expects)
        agent = await write_soul(ports_of(request), principal, command)
        written = WrittenSoulPayload(
            success=True,
            message=f"SOUL content updated for {agent.name}",
            soul_content=content,
            saved_to_workspace=False,
            updated_at=seconds_of(agent.updated_at),
        )
        return json_response(written, headers={"etag": etag_of(agent.version)})

    async def _from_template(self, request: Request, template: object) -> str:
        if not isinstance(template, str) or not TEMPLATE_NAME.fullmatch(template):
            raise InvalidRequest(INVALID_TEMPLATE_NAME)
        if self.templates.directory is None:
            raise InvalidRequest("Templates directory not configured")
        text = await self.templates.read(template)
        ports = ports_of(request)
        row = await ports.reads.agents.get(principal_of(request), agent_in(request))
        return fill_template(text, name=row.name, role=row.role, timestamp=iso_of(ports.clock.now()))

    async def show_templates(self, request: Request) -> Response:
        """
        List soul templates, or get one by name.
        """
        wanted = query_of(request, SoulTemplateQuery).template
        if self.templates.directory is None:
            return json_response(SoulTemplatesPayload(templates=[], message="Templates directory not found"))
        if not wanted:
            return json_response(SoulTemplatesPayload(templates=await self.templates.all_templates()))
        if not TEMPLATE_NAME.fullmatch(wanted):
            raise InvalidRequest(INVALID_TEMPLATE_NAME)
        content = await self.templates.read(wanted)
        return json_response(SoulTemplatesPayload(template_name=wanted, content=content))


def soul_endpoints(settings: Settings) -> list[Endpoint]:
    """
    Return the operations on souls.
    """
    desk = SoulHandlers(SoulTemplates(settings.soul_templates))
    return [
        Endpoint(
            "GET", "/agents/{id}/soul", desk.read, gives=SoulPayload, who=VIEWER,
            refuses=(AgentNotFound, KeyOfAnotherAgent), scope=SELF, operation_id="fleet_getAgentSoul",
        ),
        Endpoint(
            "PUT", "/agents/{id}/soul", desk.write, takes=SoulBody, gives=WrittenSoulPayload, who=OPERATOR,
            headers=(IF_MATCH,), refuses=(AgentNotFound, KeyOfAnotherAgent, TemplateNotFound, VersionMismatch),
            scope=SELF, operation_id="fleet_updateAgentSoul",
        ),
        Endpoint(
            "PATCH", "/agents/{id}/soul", desk.show_templates, query=SoulTemplateQuery, gives=SoulTemplatesPayload,
            who=VIEWER, refuses=(TemplateNotFound,), operation_id="fleet_listSoulTemplates",
        ),
    ]  # fmt: skip
