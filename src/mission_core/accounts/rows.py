"""
The mapping of API keys to rows.
"""

from __future__ import annotations

from typing import Final

from mission_core.accounts.model import ApiKey
from mission_core.row_mapping import row_mapping

API_KEY_ROWS: Final = row_mapping(ApiKey, separate=("last_used_at",))
