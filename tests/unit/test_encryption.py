"""
Vaults: what is sealed is opened again, and nothing else is.
"""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.encryption import FORMAT_VERSION, NONCE_LENGTH, AesSecretEncryption
from mission_adapters.memory.encryption import MemorySecretEncryption
from mission_adapters.testing import strategies as some
from mission_core.accounts.ports import DecryptionFailed

HERE, THERE = UUID(int=1), UUID(int=2)
VAULTS = pytest.mark.parametrize(
    "vault", [AesSecretEncryption(bytes(32)), MemorySecretEncryption()], ids=["aes", "memory"]
)


@VAULTS
@given(secret=some.texts(most=2000), about=some.ids)
def test_what_is_sealed_is_opened(vault, secret, about):
    """
    As it was.
    """
    assert secret == vault.decrypt(vault.encrypt(secret, about=about), about=about)


@VAULTS
@given(secret=some.texts(most=200))
def test_a_secret_is_sealed_otherwise_each_time(vault, secret):
    """
    So nobody sees which rows have the same one.
    """
    assert vault.encrypt(secret, about=HERE) != vault.encrypt(secret, about=HERE)


@VAULTS
@given(secret=some.texts(most=200))
def test_a_secret_is_opened_for_its_own_row_only(vault, secret):
    """
    Moved to another one, it says nothing.
    """
    with pytest.raises(DecryptionFailed):
        vault.decrypt(vault.encrypt(secret, about=HERE), about=THERE)


@given(some.texts(most=200), st.data())
def test_a_changed_seal_is_broken(secret, data):
    """
    Wherever a bit of it changes, and wherever it ends too early.
    """
    vault = AesSecretEncryption(bytes(32))
    sealed = bytearray(vault.encrypt(secret, about=HERE))
    if data.draw(st.booleans()):
        sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del sealed[data.draw(st.integers(0, len(sealed) - 1)) :]
    with pytest.raises(DecryptionFailed):
        vault.decrypt(bytes(sealed), about=HERE)


@VAULTS
@given(junk=st.binary(max_size=100))
def test_what_was_never_sealed_is_not_opened(vault, junk):
    """
    Also where it looks like something that was.
    """
    for sealed in (junk, FORMAT_VERSION + junk):
        with pytest.raises(DecryptionFailed):
            vault.decrypt(sealed, about=HERE)


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
