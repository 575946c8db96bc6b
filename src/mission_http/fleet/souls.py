"""
Operations on the soul of an agent: the text that describes its personality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from mission_core.accounts.key_scopes import SELF
from mission_core.accounts.model import KeyOfAnotherAgent
from mission_core.agents.model import AgentNotFound
from mission_core.agents.souls import WriteSoul, write_soul
from mission_core.errors import VersionMismatch
from mission_core.values import Absent
from mission_http.fleet.access import OPERATOR, VIEWER
from mission_http.fleet.agent_bodies import SoulBody, SoulTemplateQuery
from mission_http.fleet.agent_payloads import SoulPayload, SoulTemplatesPayload, WrittenSoulPayload
from mission_http.fleet.errors import VALIDATION, InvalidRequest
from mission_http.fleet.own_agent_rule import readable_agent_row
from mission_http.fleet.path_parameters import agent_in
from mission_http.fleet.soul_templates import NAME, SoulTemplates, TemplateNotFound, fill_template
from mission_http.fleet.wire import MICROSECONDS_PER_SECOND, iso_of, seconds_of
from mission_http.platform.bodies import body_of
from mission_http.platform.endpoints import Endpoint
from mission_http.platform.etags import IF_MATCH, etag_of, expected_version_of
from mission_http.platform.exchange import ports_of, principal_of
from mission_http.platform.json_responses import json_response
from mission_http.platform.query_strings import query_of

if TYPE_CHECKING:
    from mission_http.settings import Settings

INVALID_NAME = "Invalid template name"


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
        return json_response(
            {
                "agent": {"id": row.number, "name": row.name, "role": row.role},
                "soul_content": row.soul or "",
                "source": "database" if row.soul else "none",
                "available_templates": await self.templates.names(),
                "updated_at": row.updated_at // MICROSECONDS_PER_SECOND,
            },
            headers={"etag": etag_of(row.version)},
        )

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
        return json_response(
            {
                "success": True,
                "message": f"SOUL content updated for {agent.name}",
                "soul_content": content,
                "saved_to_workspace": False,
                "updated_at": seconds_of(agent.updated_at),
            },
            headers={"etag": etag_of(agent.version)},
        )

    async def _from_template(self, request: Request, template: object) -> str:
        if not isinstance(template, str) or not NAME.fullmatch(template):
            raise InvalidRequest(INVALID_NAME)
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
            return json_response({"templates": [], "message": "Templates directory not found"})
        if not wanted:
            return json_response({"templates": [each._asdict() for each in await self.templates.all_templates()]})
        if not NAME.fullmatch(wanted):
            raise InvalidRequest(INVALID_NAME)
        return json_response({"template_name": wanted, "content": await self.templates.read(wanted)})


def soul_endpoints(settings: Settings) -> list[Endpoint]:
    """
    Return the operations on souls.
    """
    desk = SoulHandlers(SoulTemplates(settings.soul_templates))
    return [
        Endpoint(
            "GET", "/agents/{id}/soul", desk.read, gives=SoulPayload, who=VIEWER,
            refuses=(AgentNotFound, KeyOfAnotherAgent),
            scope=SELF, operation_id="fleet_getAgentSoul", tags=("Agents",),
        ),
        Endpoint(
            "PUT", "/agents/{id}/soul", desk.write, takes=SoulBody, gives=WrittenSoulPayload, who=OPERATOR,
            headers=(IF_MATCH,), refuses=(AgentNotFound, KeyOfAnotherAgent, TemplateNotFound, VersionMismatch),
            scope=SELF, operation_id="fleet_updateAgentSoul", tags=("Agents",),
        ),
        Endpoint(
            "PATCH", "/agents/{id}/soul", desk.show_templates, query=SoulTemplateQuery, gives=SoulTemplatesPayload,
            who=VIEWER, refuses=(TemplateNotFound,), operation_id="fleet_listSoulTemplates", tags=("Agents",),
        ),
    ]  # fmt: skip
