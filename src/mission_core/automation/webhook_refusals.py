"""
The refusal of webhooks that APIs render in their own way. A server knows it without loading webhooks.
"""

from __future__ import annotations

from mission_core.errors import Denied


class WebhookDisabled(Denied):
    """
    The webhook is disabled and takes no payloads.
    """

    says = "Webhook is disabled."
