"""
Vaults: what is sealed is opened again, and nothing else is.
"""

from uuid import UUID

import pytest

from mission_adapters.encryption import NONCE_LENGTH, AesSecretEncryption
from mission_adapters.memory.encryption import MemorySecretEncryption
from mission_adapters.testing.contracts import SecretEncryptionContract
from mission_core.accounts.ports import DecryptionFailed, SecretEncryption

HERE = UUID(int=1)


@pytest.fixture(params=[AesSecretEncryption(bytes(32)), MemorySecretEncryption()], ids=["aes", "memory"])
def encryption(request: pytest.FixtureRequest) -> SecretEncryption:
    """
    Each of our encryptions.
    """
    return request.param


class TestEncryption(SecretEncryptionContract):
    """
    With AES and in memory.
    """


def test_another_key_opens_nothing():
    """
    Nor does the seal hold the secret itself.
    """
    sealed = AesSecretEncryption(bytes(32)).encrypt("a secret of ours", about=HERE)

    assert b"secret" not in sealed
    with pytest.raises(DecryptionFailed):
        AesSecretEncryption(b"\1" * 32).decrypt(sealed, about=HERE)


def test_a_nonce_is_used_once():
    """
    Each of them fresh.
    """
    vault = AesSecretEncryption(bytes(32))

    assert 1000 == len({vault.encrypt("x", about=HERE)[1 : 1 + NONCE_LENGTH] for _ in range(1000)})


def test_a_key_has_its_length():
    """
    And is never shown.
    """
    with pytest.raises(ValueError, match="32 bytes"):
        AesSecretEncryption(bytes(16))

    assert "key" not in repr(AesSecretEncryption(bytes(32)))
