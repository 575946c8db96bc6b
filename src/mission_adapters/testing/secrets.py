"""
Predictable secrets and weak password hashes for tests.
"""

from __future__ import annotations

from random import Random
from typing import Final

from mission_adapters.lease_signatures import KEY_LENGTH, HmacSecrets
from mission_adapters.password_hashing import Argon2PasswordHasher, ScryptPasswordHasher

WEAK_SCRYPT_COST: Final = 16


def seeded_secrets(seed: int = 1) -> HmacSecrets:
    """
    Secrets that are the same for the same seed. For tests only: anybody can compute them.
    """
    random = Random(seed)
    return HmacSecrets(random.randbytes(KEY_LENGTH), random.randbytes)


def weak_scrypt_hasher() -> ScryptPasswordHasher:
    """
    A password hasher with very weak parameters, so that tests are fast. For tests only.
    """
    return ScryptPasswordHasher(cost=WEAK_SCRYPT_COST)


def weak_argon2_hasher() -> Argon2PasswordHasher:
    """
    An Argon2id hasher with very weak parameters, so that tests are fast. For tests only; needs the extra `sql`.
    """
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return Argon2PasswordHasher(lambda: weak, weak_scrypt_hasher())
