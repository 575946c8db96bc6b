"""
The mapping of API keys to rows of the api_keys table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mission_adapters.sql.mapping import Row, id_from, maybe_micros, maybe_moment, trusted
from mission_core.accounts.model import ApiKey
from mission_core.values import canonical, micros, moment

make_key = trusted(ApiKey)


def row_from(key: ApiKey) -> Row:
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
        "expires_at": maybe_micros(key.expires_at),
        "revoked_at": maybe_micros(key.revoked_at),
        "last_used_at": maybe_micros(key.last_used_at),
        "version": key.version,
    }


def key_from(row: Mapping[str, Any]) -> ApiKey:
    """
    Return the API key that a row holds.
    """
    return make_key(
        id=id_from(row["id"]),
        number=row["number"],
        organization=id_from(row["organization"]),
        agent=id_from(row["agent"]),
        name=row["name"],
        digest=row["digest"],
        prefix=row["prefix"],
        scopes=tuple(json.loads(row["scopes"])),
        created_by=row["created_by"],
        created_at=moment(row["created_at"]),
        updated_at=moment(row["updated_at"]),
        expires_at=maybe_moment(row["expires_at"]),
        revoked_at=maybe_moment(row["revoked_at"]),
        last_used_at=maybe_moment(row["last_used_at"]),
        version=row["version"],
    )
