"""
A webhook's encrypted secret in a database, made and read with the settings of a server.
"""

from mission_core.accounts.model import SystemPrincipal
from mission_core.agents.organization_creation import ensure_organization
from mission_core.automation.board_webhooks import BOARD_WEBHOOKS, CreateBoardWebhook, create_board_webhook
from mission_core.boards.use_cases import CreateBoard, create_board
from mission_core.ports import Ports
from mission_http.settings import Settings
from mission_http.wiring import ports_over_database

GIVEN = "what a sender signs with"


async def opened(settings: Settings) -> list[str]:
    """
    The secrets of all webhooks, opened.
    """
    async with ports_over_database(settings) as ports:
        me = SystemPrincipal(organization=(await ensure_organization(ports)).id)
        rows = await ports.reads.entities.every(me, BOARD_WEBHOOKS)
        return [ports.vault.decrypt(each.secret, about=each.id) for each in rows if each.secret]


async def a_sealed_secret(ports: Ports) -> None:
    me = SystemPrincipal(organization=(await ensure_organization(ports)).id)
    board = await create_board(ports, me, CreateBoard(name="Work"))
    await create_board_webhook(ports, me, CreateBoardWebhook(board=board.id, description="CI", secret=GIVEN))


async def made(settings: Settings) -> Settings:
    """
    The settings, after a first start that sealed something.
    """
    async with ports_over_database(settings) as ports:
        await a_sealed_secret(ports)
    return settings
