"""
Webhooks of boards: their configuration, and the payloads that others send to them.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.automation.board_webhooks import (
        BoardWebhook as BoardWebhook,
        CreateBoardWebhook as CreateBoardWebhook,
        DeleteBoardWebhook as DeleteBoardWebhook,
        UpdateBoardWebhook as UpdateBoardWebhook,
        WebhookAgentNotOnBoard as WebhookAgentNotOnBoard,
        WebhookCreated as WebhookCreated,
        WebhookDeleted as WebhookDeleted,
        WebhookNotFound as WebhookNotFound,
        WebhookUpdated as WebhookUpdated,
        create_board_webhook as create_board_webhook,
        delete_board_webhook as delete_board_webhook,
        update_board_webhook as update_board_webhook,
    )
    from mission_core.automation.webhook_ingestion import (
        ReceivePayload as ReceivePayload,
        get_payload as get_payload,
        get_webhook as get_webhook,
        receive_payload as receive_payload,
    )
    from mission_core.automation.webhook_refusals import WebhookDisabled as WebhookDisabled
    from mission_core.automation.webhook_payloads import (
        PayloadNotFound as PayloadNotFound,
        PayloadReceived as PayloadReceived,
        WebhookPayload as WebhookPayload,
    )
    from mission_core.automation.webhook_signatures import (
        SignatureInvalid as SignatureInvalid,
        SignatureMissing as SignatureMissing,
    )
else:
    __getattr__, __dir__ = lazy_exports(__name__)
