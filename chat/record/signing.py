"""The signature under an export's manifest: Ed25519; anybody may verify it, only we can sign.

The key comes from ``SECRET_KEY``. Who is to verify without it is given the public key, once.
"""

import base64

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.utils.crypto import salted_hmac


def _private_key() -> Ed25519PrivateKey:
    seed = salted_hmac("chat.record.signing", "export", algorithm="sha256").digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key() -> str:
    """Ours, base64 of its 32 bytes."""
    return base64.b64encode(_private_key().public_key().public_bytes_raw()).decode()


def sign(content: bytes) -> str:
    """The signature, base64 of its 64 bytes."""
    return base64.b64encode(_private_key().sign(content)).decode()


def is_signed(content: bytes, signature: str, key: str) -> bool:
    """Was this signed with the private half of the key? Never raises for a bad one."""
    try:
        verifier = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
        verifier.verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):
        return False
    return True
