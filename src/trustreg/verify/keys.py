"""Public keys and their one DER spelling.

``cryptography``'s ``serialization`` reads and writes every kind, and importing it takes as long as the import of all
that verifies. For the two kinds that nearly all collections use the spelling is a constant and the key itself.
"""

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def read(spelled: bytes) -> object:
    """Return the public key of a DER SubjectPublicKeyInfo, whatever kind it is.

    Raises:
        ValueError: It is none.
        UnsupportedAlgorithm: It is of a kind that nobody knows.
    """
    if spelled.startswith(P256) and len(spelled) == len(P256) + 64:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), spelled[len(P256) - 1 :])
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return load_der_public_key(spelled)


def spell(public: PublicKey) -> bytes:
    """Return *public* as DER SubjectPublicKeyInfo: the same for the same key, whatever it was read from."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        return ED25519 + public.public_bytes_raw()
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1":
        at = public.public_numbers()
        return P256 + at.x.to_bytes(32, "big") + at.y.to_bytes(32, "big")
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


ED25519 = bytes.fromhex("302a300506032b6570032100")  # then the key
P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")  # then x and y of the point
