"""
The contract of the port `SecretEncryption`.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_adapters.testing.contracts.base import contract_settings
from mission_core.accounts.ports import DecryptionFailed, SecretEncryption

HERE: Final = UUID(int=1)
THERE: Final = UUID(int=2)


class SecretEncryptionContract:
    """
    The contract of the port `SecretEncryption`. A subclass, its module or its `conftest.py` provides a fixture
    `encryption`.
    """

    @contract_settings(100)
    @given(secret=some.texts(most=2000), about=some.ids)
    def test_decryption_returns_the_encrypted_secret(
        self, encryption: SecretEncryption, secret: str, about: UUID
    ) -> None:
        """
        Decryption returns the encrypted secret, whatever its characters.
        """
        assert secret == encryption.decrypt(encryption.encrypt(secret, about=about), about=about)

    @contract_settings(100)
    @given(secret=some.texts(most=200))
    def test_two_encryptions_of_a_secret_differ(self, encryption: SecretEncryption, secret: str) -> None:
        """
        Two encryptions of the same secret differ, so equal secrets cannot be recognized in the database.
        """
        assert encryption.encrypt(secret, about=HERE) != encryption.encrypt(secret, about=HERE)

    @contract_settings(100)
    @given(secret=some.texts(most=200))
    def test_a_ciphertext_moved_to_another_row_is_refused(self, encryption: SecretEncryption, secret: str) -> None:
        """
        A ciphertext that was moved to another row raises `DecryptionFailed`.
        """
        with pytest.raises(DecryptionFailed):
            encryption.decrypt(encryption.encrypt(secret, about=HERE), about=THERE)

    @contract_settings(100)
    @given(junk=st.binary(max_size=100))
    def test_arbitrary_bytes_are_refused(self, encryption: SecretEncryption, junk: bytes) -> None:
        """
        Arbitrary bytes raise `DecryptionFailed`, also with the first byte of a real ciphertext.
        """
        for sealed in (junk, encryption.encrypt("a secret", about=HERE)[:1] + junk):
            with pytest.raises(DecryptionFailed):
                encryption.decrypt(sealed, about=HERE)

    @contract_settings(100)
    @given(secret=some.texts(most=200), data=st.data())
    def test_a_changed_or_truncated_ciphertext_is_refused(
        self, encryption: SecretEncryption, secret: str, data: st.DataObject
    ) -> None:
        """
        A ciphertext with a flipped bit, or a truncated one, raises `DecryptionFailed`.
        """
        sealed = bytearray(encryption.encrypt(secret, about=HERE))
        if data.draw(st.booleans()):
            sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        else:
            del sealed[data.draw(st.integers(0, len(sealed) - 1)) :]
        with pytest.raises(DecryptionFailed):
            encryption.decrypt(bytes(sealed), about=HERE)
