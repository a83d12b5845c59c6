"""What a key text can turn out to hold, and what to do about it: one name and one cure each.

No refusal quotes the text: it may hold a key.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from salesforce_broker.errors import SigningKeyUnusable

MIN_KEY_BITS = 2048
MAX_KEY_BITS = 4096
"""What Salesforce documents for certificates; more only costs time (checking a key of 8,192 bits takes seconds)."""

PUBLIC_EXPONENT = 65537

IMPORT_HINT = "Import the key with RotateKeyFunction (action 'import')."

STORE_HINT = (
    f"{IMPORT_HINT} Its field 'private_key' takes the unencrypted RSA private key (server.key, {MIN_KEY_BITS} to {MAX_KEY_BITS}"
    " bits), 'certificate' the certificate that is on the app (server.crt). The action 'create' makes a new key instead."
)

NEW_KEY = (
    "Make an RSA key: openssl req -x509 -newkey rsa:3072 -nodes -keyout server.key -out server.crt -days 825 -subj /CN=broker,"
    " and upload server.crt to the app."
)

_FIND_KEY = "Look for the file with the private key: openssl pkey -in server.key -noout succeeds for it."

_FROM_XML = (
    "Convert it in PowerShell 7: $key = [Security.Cryptography.RSA]::Create();"
    " $key.FromXmlString((Get-Content -Raw server.xml)); $key.ExportPkcs8PrivateKeyPem()."
)

_FROM_KEYSTORE = (
    "Convert it: keytool -importkeystore -srckeystore server.jks -destkeystore server.p12 -deststoretype PKCS12;"
    " then openssl pkcs12 -in server.p12 -nodes -out server.key."
)


class Kind(enum.Enum):
    """What something in a key text is; of each: its name, and what to do where a private key should be.

    In the order in which they are named where a text has several and no usable key.
    """

    RSA = "an RSA private key", ""
    RSA_OPENSSH = "an RSA private key in OpenSSH's format", ""
    RSA_PSS = "an RSA-PSS private key, which may not make RS256 signatures", NEW_KEY
    EC = "an elliptic-curve private key", NEW_KEY
    ED25519 = "an Ed25519 private key", NEW_KEY
    DSA = "a DSA private key", NEW_KEY
    OTHER_KEY = "a private key that is not an RSA key", NEW_KEY
    ENCRYPTED = "an encrypted private key", "Decrypt it: openssl pkey -in server.key -out decrypted.key."
    ENCRYPTED_OPENSSH = (
        "an encrypted private key in OpenSSH's format",
        "Decrypt it with an empty new passphrase: ssh-keygen -p -m PEM -f server.key.",
    )
    PUTTY = "a key in PuTTY's format (.ppk)", "Convert it: puttygen server.ppk -O private-openssh -o server.key."
    PGP = "PGP data", NEW_KEY
    JWK = "a JSON Web Key (JWK)", "Convert it: npx pem-jwk server.jwk > server.key."
    XML = "a key in .NET's XML format", _FROM_XML
    PKCS12 = (
        "a PKCS #12 file (.p12, .pfx)",
        "Take the key and its certificate out: openssl pkcs12 -in server.p12 -nodes -out server.key.",
    )
    KEYSTORE = "a Java keystore (.jks)", _FROM_KEYSTORE
    TRUNCATED = (
        "data of which a part is missing",
        "Compare with the file: openssl pkey -in server.key -noout must succeed for it. Copy all of it.",
    )
    DAMAGED = (
        "data that is damaged",
        "Compare with the file: openssl pkey -in server.key -noout -check must succeed for it. Copy it again.",
    )
    PKCS7 = "a PKCS #7 file, which has certificates only", _FIND_KEY
    PUBLIC = "a public key", _FIND_KEY
    REQUEST = "a certificate request", _FIND_KEY
    CERTIFICATE = "a certificate and no private key", _FIND_KEY
    PARAMETERS = "parameters of a key and no private key", _FIND_KEY
    PLACEHOLDER = (
        "placeholder text, or a variable that was not replaced",
        "Put the content of server.key there; openssl pkey -in server.key -noout checks the file.",
    )
    PATH = "the name of a file, not its content", 'Send the content: "$(cat server.key)" in a shell, or jq --rawfile.'
    ARN = "an ARN, not a key", "Send the key itself. For a key in KMS set KeyStore=kms; RotateKeyFunction makes it there."
    JSON = (
        "damaged JSON",
        "Write it with a tool: jq -n --arg client_id KEY --rawfile private_key server.key '$ARGS.named' > secret.json.",
    )
    NOTHING = (
        "nothing that is known as a key",
        "openssl pkey -in server.key prints the key in the form that is expected (PEM).",
    )

    def __init__(self, what: str, cure: str) -> None:
        self.what = what
        self.cure = cure


_ORDER = list(Kind)

OTHER_PRIVATE_KEYS = frozenset(
    {
        Kind.RSA_PSS,
        Kind.EC,
        Kind.ED25519,
        Kind.DSA,
        Kind.OTHER_KEY,
        Kind.ENCRYPTED,
        Kind.ENCRYPTED_OPENSSH,
        Kind.PUTTY,
        Kind.JWK,
        Kind.XML,
        Kind.PKCS12,
        Kind.KEYSTORE,
    }
)
"""Beside a usable key: another key, so that nobody can tell which of them is meant."""


def refuse(description: str, cure: str) -> SigningKeyUnusable:
    """Return the error: what is wrong, and what to do about it."""
    return SigningKeyUnusable(description, hint=f"{cure} {IMPORT_HINT}")


def not_a_key(kinds: Iterable[Kind]) -> SigningKeyUnusable:
    """Return the error for a text that holds other things than a usable private key."""
    found = min(kinds, key=_ORDER.index)
    return refuse(f"The key text holds {found.what}.", found.cure)


def not_a_certificate(kinds: Iterable[Kind]) -> SigningKeyUnusable:
    """Return the error for a certificate's text that holds other things."""
    found = min(kinds, key=_ORDER.index, default=Kind.NOTHING)
    cure = "Send server.crt: openssl x509 -in server.crt -noout succeeds for it."
    return refuse(f"There is no certificate: its text holds {found.what}.", cure)


def unusable_numbers(bits: int, exponent: int) -> SigningKeyUnusable | None:
    """Return the error for an RSA key of a size or exponent that is not accepted; None if both are."""
    if bits < MIN_KEY_BITS:
        return refuse(f"The RSA key has {bits} bits; at least {MIN_KEY_BITS} are needed.", NEW_KEY)
    if bits > MAX_KEY_BITS:
        return refuse(f"The RSA key has {bits} bits; at most {MAX_KEY_BITS} are accepted.", NEW_KEY)
    if exponent != PUBLIC_EXPONENT:
        return refuse(f"The RSA key has another public exponent than {PUBLIC_EXPONENT}.", NEW_KEY)
    return None
