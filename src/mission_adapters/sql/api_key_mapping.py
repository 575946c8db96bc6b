"""
The mapping of API keys to rows of the api_keys table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mission_adapters.sql.conversions import (
    ColumnValues,
    optional_micros,
    optional_moment,
    trusted_constructor,
    uuid_of_bytes,
)
from mission_core.accounts.model import ApiKey
from mission_core.values import canonical, micros, moment

make_api_key = trusted_constructor(ApiKey)


def api_key_row(key: ApiKey) -> ColumnValues:
    """
    Return the column values of an API key.
    """
    return {
        "id": key.id.bytes,
        "number": key.number,
        "organization": key.organization.bytes,
        "agent": key.agent.bytes,
        "name": key.name,
        "digest": key.digest,
        "prefix": key.prefix,
        "scopes": canonical(key.scopes),
        "created_by": key.created_by,
        "created_at": micros(key.created_at),
        "updated_at": micros(key.updated_at),
        "expires_at": optional_micros(key.expires_at),
        "revoked_at": optional_micros(key.revoked_at),
        "last_used_at": optional_micros(key.last_used_at),
        "version": key.version,
    }


def api_key_of_row(row: Mapping[str, Any]) -> ApiKey:
    """
    Return the API key that a row holds.
    """
    return make_api_key(
        id=uuid_of_bytes(row["id"]),
        number=row["number"],
        organization=uuid_of_bytes(row["organization"]),
        agent=uuid_of_bytes(row["agent"]),
        name=row["name"],
        digest=row["digest"],
        prefix=row["prefix"],
        scopes=tuple(json.loads(row["scopes"])),
        created_by=row["created_by"],
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
        expires_at=optional_moment(row["expires_at"]),
        revoked_at=optional_moment(row["revoked_at"]),
        last_used_at=optional_moment(row["last_used_at"]),
        version=row["version"],
    )
