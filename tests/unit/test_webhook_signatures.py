"""
Signatures of what comes in by a webhook.
"""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_core.automation import webhook_signatures
from mission_core.automation.webhook_signatures import SignatureInvalid, SignatureMissing, check_signature, signature_in

secrets = some.texts(least=1)


def signed(secret, body):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@given(secrets, st.binary(max_size=200), st.sampled_from(["", "sha256=", "SHA256=", "Sha256="]), st.booleans())
def test_a_body_is_known_by_its_signature(secret, body, prefix, upper):
    """
    With or without the prefix, in small or capital digits.
    """
    signature = signed(secret, body)

    check_signature(secret, body, f" {prefix}{signature.upper() if upper else signature} ")


@given(secrets, st.binary(max_size=200), st.data())
def test_another_signature_is_wrong(secret, body, data):
    """
    That of another secret or body, half of it, none at all, or what is no signature.
    """
    right = signed(secret, body)
    signature = data.draw(
        st.one_of(
            secrets.filter(lambda other: other != secret).map(lambda other: signed(other, body)),
            st.binary(max_size=200).filter(lambda other: other != body).map(lambda other: signed(secret, other)),
            st.integers(0, len(right) - 1).map(lambda length: right[:length]),
            st.integers(0, len(right) - 1).map(lambda place: f"{right[:place]}g{right[place + 1:]}"),
            st.just(f"sha1={right}"), st.just(f"sha256=sha256={right}"), st.text(max_size=80),
        )
    )  # fmt: skip
    with pytest.raises(SignatureInvalid):
        check_signature(secret, body, signature)


def test_how_long_a_wrong_signature_takes_tells_nothing(monkeypatch):
    """
    It is compared in the same time wherever it differs.
    """
    compared = []

    def compare(one, other):
        compared.append((one, other))
        return False

    monkeypatch.setattr(webhook_signatures.hmac, "compare_digest", compare)
    with pytest.raises(SignatureInvalid):
        check_signature("secret", b"body", signed("secret", b"body"))

    assert [(signed("secret", b"body").encode(),) * 2] == compared


@pytest.mark.parametrize(
    ("headers", "named", "expected"),
    [
        ({"x-hub-signature-256": "a"}, None, "a"),
        ({"x-webhook-signature": "b"}, None, "b"),
        ({"x-webhook-signature": "b", "x-hub-signature-256": "a"}, None, "a"),
        ({"x-webhook-signature": "b", "x-hub-signature-256": " "}, None, "b"),
        ({"x-signed": "c", "x-hub-signature-256": "a"}, "X-Signed", "c"),
    ],
)
def test_a_signature_stands_where_it_is_looked_for(headers, named, expected):
    """
    In the header that is named, or in one of the usual ones.
    """
    assert expected == signature_in(headers, named)


@pytest.mark.parametrize(
    ("headers", "named"),
    [({}, None), ({"x-signed": "c"}, None), ({"x-hub-signature-256": "a"}, "x-own"), ({"x-own": " "}, "X-Own")],
)
def test_a_signature_elsewhere_is_missing(headers, named):
    """
    Where a header is named, the usual ones say nothing.
    """
    with pytest.raises(SignatureMissing):
        signature_in(headers, named)
