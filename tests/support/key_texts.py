"""Key texts as people have them, made by the tools that people make them with; and what the reader answers to each."""

from __future__ import annotations

import base64
import functools
import json
import shutil
import subprocess
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from salesforce_broker.keys import refusals
from salesforce_broker.keys.refusals import NEW_KEY, Kind

PASSWORD = "only-for-unit-tests"
CONSUMER_KEY = "3MVG9.only-use-for-unit-tests"

SUBJECT = "/CN=only for unit tests"


class KeyTools:
    """openssl, ssh-keygen and keytool at work in a folder; each file is made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[str, str | bytes] = {}

    def make(self, situation: Situation) -> str | bytes:
        """Make a situation's text, or return what was made."""
        if situation.name not in self._made:
            self._made[situation.name] = situation.make(self)
        return self._made[situation.name]

    def run(self, *command: str, text: str = "") -> bytes:
        """Run a command in the folder; return what it prints."""
        done = subprocess.run(command, cwd=self.folder, input=text.encode(), capture_output=True, timeout=60, check=True)
        return done.stdout

    def openssl(self, *arguments: str, text: str = "") -> str:
        """Run openssl; return the text that it prints."""
        return self.run("openssl", *arguments, text=text).decode()

    @functools.cached_property
    def key(self) -> str:
        """Return the key (PKCS #8), whose certificate is server.crt."""
        self.openssl("req", "-x509", *_NEW_RSA, "-keyout", "server.key", "-out", "server.crt", "-days", "30", "-subj", SUBJECT)
        return (self.folder / "server.key").read_text()

    @functools.cached_property
    def certificate(self) -> str:
        """Return the key's certificate, signed by itself."""
        assert self.key
        return (self.folder / "server.crt").read_text()

    @functools.cached_property
    def pkcs1(self) -> str:
        """Return the key as PKCS #1."""
        return self.openssl("rsa", "-traditional", text=self.key)

    @functools.cached_property
    def other_key(self) -> str:
        """Return another key."""
        return self.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")

    @functools.cached_property
    def chain(self) -> str:
        """Return a certificate of the key by an authority, after the authority's own."""
        authority = ("-x509", *_NEW_RSA, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=authority")
        self.openssl("req", *authority)
        request = self.request
        issued = self.openssl("x509", "-req", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "20", text=request)
        return (self.folder / "ca.crt").read_text() + issued

    @functools.cached_property
    def request(self) -> str:
        """Return a certificate request of the key."""
        assert self.key
        return self.openssl("req", "-new", "-key", "server.key", "-subj", SUBJECT)

    @functools.cached_property
    def openssh(self) -> str:
        """Return the key in OpenSSH's format."""
        return self.ssh_keygen("-p", "-N", "")

    def ssh_keygen(self, *arguments: str) -> str:
        """Let ssh-keygen write the key anew."""
        copy = self.folder / "id_rsa"
        copy.write_text(self.pkcs1)
        copy.chmod(0o600)
        self.run("ssh-keygen", *arguments, "-P", "", "-f", "id_rsa")
        return copy.read_text()

    @functools.cached_property
    def ssh_public(self) -> str:
        """Return the line of the public key."""
        self.ssh_keygen("-p", "-N", "")
        return self.run("ssh-keygen", "-y", "-f", "id_rsa").decode()

    def new_ssh_key(self, kind: str) -> str:
        """Let ssh-keygen make a key of a kind."""
        (self.folder / kind).unlink(missing_ok=True)
        self.run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", kind)
        return (self.folder / kind).read_text()

    def pkcs12(self, password: str = PASSWORD) -> bytes:
        """Return a PKCS #12 file of the pair."""
        assert self.key
        pair = ("-inkey", "server.key", "-in", "server.crt", "-name", "broker")
        self.openssl("pkcs12", "-export", *pair, "-out", "server.p12", "-passout", f"pass:{password}")
        return (self.folder / "server.p12").read_bytes()

    def exported(self) -> str:
        """Return what openssl takes out of the PKCS #12 file."""
        self.pkcs12()
        return self.openssl("pkcs12", "-in", "server.p12", "-nodes", "-passin", f"pass:{PASSWORD}")

    def keystore(self, kind: str, file: str) -> bytes:
        """Return a Java keystore of the pair."""
        self.pkcs12()
        (self.folder / file).unlink(missing_ok=True)
        source = ("-srckeystore", "server.p12", "-srcstoretype", "PKCS12", "-srcstorepass", PASSWORD)
        into = ("-destkeystore", file, "-deststoretype", kind, "-deststorepass", PASSWORD)
        self.run("keytool", "-importkeystore", *source, *into)
        return (self.folder / file).read_bytes()

    def exported_keystore(self) -> str:
        """Return what keytool and openssl take out of a Java keystore."""
        self.keystore("JKS", "server.jks")
        (self.folder / "from-jks.p12").unlink(missing_ok=True)
        source = ("-srckeystore", "server.jks", "-srcstorepass", PASSWORD)
        into = ("-destkeystore", "from-jks.p12", "-deststoretype", "PKCS12", "-deststorepass", PASSWORD)
        self.run("keytool", "-importkeystore", *source, *into)
        return self.openssl("pkcs12", "-in", "from-jks.p12", "-nodes", "-passin", f"pass:{PASSWORD}")

    def der(self, *arguments: str) -> bytes:
        """Return the key as openssl writes it in DER."""
        return self.run("openssl", *arguments, "-outform", "DER", text=self.key)


_NEW_RSA = ("-newkey", "rsa:2048", "-nodes")

HAS_KEYTOOL = shutil.which("keytool") is not None


@dataclass(frozen=True, slots=True)
class Situation:
    """What somebody has: `make` makes it. `answer` and `cure` are what the reader says; empty where it takes the text."""

    name: str
    make: Callable[[KeyTools], str | bytes]
    answer: str = ""
    cure: str = ""
    needs_keytool: bool = False


def body(pem: str) -> str:
    """Return the base64 lines of a PEM."""
    return "\n".join(line for line in pem.splitlines() if "-----" not in line) + "\n"


def relabelled(pem: str, before: str, after: str) -> str:
    """Return a PEM under another label."""
    return pem.replace(f"BEGIN {before}", f"BEGIN {after}").replace(f"END {before}", f"END {after}")


def secret(key: str, client_id: str = CONSUMER_KEY) -> str:
    """Return a secret's JSON."""
    return json.dumps({"client_id": client_id, "private_key": key})


TEXTS = [
    Situation("PKCS #8, as openssl 3 writes it", lambda tools: tools.key),
    Situation("PKCS #1, as openssl 1 writes it", lambda tools: tools.pkcs1),
    Situation("PKCS #8 under an RSA label", lambda tools: relabelled(tools.key, "PRIVATE KEY", "RSA PRIVATE KEY")),
    Situation("PKCS #1 under a label without RSA", lambda tools: relabelled(tools.pkcs1, "RSA PRIVATE KEY", "PRIVATE KEY")),
    Situation("OpenSSH's format", lambda tools: tools.openssh),
    Situation("with the certificate, the key first", lambda tools: tools.key + tools.certificate),
    Situation("with the certificate first", lambda tools: tools.certificate + tools.key),
    Situation("with a chain of certificates", lambda tools: tools.chain + tools.key),
    Situation("the same key twice", lambda tools: tools.key + tools.pkcs1),
    Situation("openssl pkcs12 -nodes (Bag Attributes)", lambda tools: tools.exported()),
    Situation("a Java keystore's export", lambda tools: tools.exported_keystore(), needs_keytool=True),
    Situation("openssl rsa -text", lambda tools: tools.openssl("rsa", "-text", text=tools.key)),
    Situation(
        "comments and blank lines around it, with the word UNENCRYPTED",
        lambda tools: f"# the UNENCRYPTED key; not ENCRYPTED\n\n{tools.key}\n\n# end\n",
    ),
    Situation("the header missing", lambda tools: tools.key.split("-----\n", 1)[1]),
    Situation("the footer missing", lambda tools: tools.key.split("-----END")[0]),
    Situation("header and footer missing", lambda tools: body(tools.key)),
    Situation("one dash lost on each side", lambda tools: tools.key[1:].rstrip()[:-1]),
]
"""Taken, whatever the line ends are and whatever is around them."""

LINE_ENDS: Mapping[str, Callable[[str], str]] = {
    "LF": lambda text: text,
    "CR LF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    r"\n": lambda text: text.replace("\n", r"\n"),
    r"\\n": lambda text: text.replace("\n", r"\\n"),
    r"\r\n": lambda text: text.replace("\n", r"\r\n"),
    "one line": lambda text: text.replace("\n", " "),
}

WRAPPINGS: Mapping[str, Callable[[str], str | bytes]] = {
    "JSON": secret,
    "JSON with line ends as they are": lambda text: secret("@").replace("@", text.replace("\\", "\\\\").replace('"', '\\"')),
    "the console's key/value form": lambda text: secret(text.replace("\n", " ")),
    "JSON, binary": lambda text: secret(text).encode(),
    "bare": lambda text: text,
    "bare, binary": lambda text: text.encode(),
}

COMBINATIONS = [
    (line_end, wrapping)
    for line_end in LINE_ENDS
    for wrapping in WRAPPINGS
    if wrapping in {"JSON", "bare"} or line_end in {"LF", "CR LF"}
]
"""Each line end in JSON and bare, the usual two in the others: what is around a text does not look at its line ends."""

ENCODINGS = [
    Situation("no line end at all", lambda tools: tools.key.replace("\n", "")),
    Situation("quotes around it", lambda tools: f'"{tools.key}"'),
    Situation("a JSON string", lambda tools: json.dumps(tools.key)),
    Situation("JSON within a JSON string", lambda tools: json.dumps(secret(tools.key))),
    Situation("JSON with each quote escaped", lambda tools: json.dumps(secret(tools.key))[1:-1]),
    Situation("a byte order mark (UTF-8)", lambda tools: secret(tools.key).encode("utf-8-sig")),
    Situation("a byte order mark, read as text", lambda tools: "\ufeff" + secret(tools.key)),
    Situation("PowerShell: Out-File (UTF-16 LE)", lambda tools: b"\xff\xfe" + secret(tools.key).encode("utf-16-le")),
    Situation("PowerShell: > of a PEM (UTF-16 LE, CR LF)", lambda tools: tools.key.replace("\n", "\r\n").encode("utf-16")),
    Situation("UTF-16 BE", lambda tools: b"\xfe\xff" + tools.key.encode("utf-16-be")),
    Situation("UTF-16 without a byte order mark", lambda tools: tools.key.encode("utf-16-le")),
    Situation("UTF-16, read as 8-bit text", lambda tools: tools.key.encode("utf-16").decode("latin-1")),
    Situation("UTF-16, read as UTF-8", lambda tools: tools.key.encode("utf-16").decode(errors="replace")),
    Situation("PowerShell: Set-Content (ANSI)", lambda tools: f"# Schlüssel\r\n{tools.key}".encode("cp1252")),
    Situation("dashes of a word processor", lambda tools: tools.key.replace("-----", "\u2014\u2014-")),
    Situation("blanks of a web page", lambda tools: tools.key.replace("PRIVATE KEY", "PRIVATE\u00a0KEY")),
    Situation("base64 of the PEM, one line", lambda tools: base64.b64encode(tools.key.encode()).decode()),
    Situation("base64 of the PEM, wrapped", lambda tools: base64.encodebytes(tools.key.encode()).decode()),
    Situation("base64 of the PEM in JSON", lambda tools: secret(base64.b64encode(tools.key.encode()).decode())),
    Situation("base64 of the JSON", lambda tools: base64.b64encode(secret(tools.key).encode()).decode()),
    Situation("base64 of UTF-16", lambda tools: base64.b64encode(tools.key.encode("utf-16")).decode()),
    Situation("base64 twice", lambda tools: base64.b64encode(base64.b64encode(tools.key.encode())).decode()),
    Situation("DER (PKCS #8), binary", lambda tools: tools.der("pkcs8", "-topk8", "-nocrypt")),
    Situation("DER (PKCS #1), binary", lambda tools: tools.der("rsa", "-traditional")),
    Situation("DER, read as text", lambda tools: tools.der("rsa", "-traditional").decode("latin-1")),
    Situation("DER in base64, in JSON", lambda tools: secret(base64.b64encode(tools.der("rsa", "-traditional")).decode())),
    Situation("base64 for URLs", lambda tools: base64.urlsafe_b64encode(tools.der("rsa", "-traditional")).decode().rstrip("=")),
    Situation("URL-encoded", lambda tools: urllib.parse.quote(tools.key)),
    Situation("a form's encoding", lambda tools: urllib.parse.quote_plus(tools.key)),
    Situation("a list of lines", lambda tools: json.dumps({"private_key": tools.key.splitlines()})),
    Situation("a string in program text", lambda tools: " +\n".join(f'  "{line}\\n"' for line in tools.key.splitlines())),
    Situation("YAML", lambda tools: "private_key: |\n" + "".join(f"  {line}\n" for line in tools.key.splitlines())),
    Situation("a file of settings (.env)", lambda tools: f'SF_CLIENT_ID={CONSUMER_KEY}\nSF_KEY="{tools.key}"\n'),
    Situation("copied from HTML", lambda tools: tools.key.replace("\n", "<br>\n")),
    Situation("quoted in a mail", lambda tools: "".join(f"> {line}\n" for line in tools.key.splitlines())),
    Situation("a public key beside it", lambda tools: tools.key + tools.openssl("pkey", "-pubout", text=tools.key)),
    Situation("openssl x509 -trustout", lambda tools: tools.key + tools.openssl("x509", "-trustout", text=tools.certificate)),
    *(
        Situation(f"the field's name {name}", lambda tools, name=name: json.dumps({name: tools.key}))  # type: ignore[misc]
        for name in ("privateKey", "PRIVATE_KEY", "private-key", "key", "pem", "server.key", "Private Key")
    ),
]
"""Taken, as they are."""

TWO_KEYS = "The key text holds two different private keys."
ONE = "Keep the one whose certificate is on the app: openssl pkey -in server.key -out one.key writes the first of a file."
PAIR = "Of a pair these print the same: openssl pkey -in server.key -pubout, and openssl x509 -in server.crt -noout -pubkey."


def refused(name: str, make: Callable[[KeyTools], str | bytes], kind: Kind) -> Situation:
    """Return a situation that is refused for what it is."""
    return Situation(name, make, f"The key text holds {kind.what}.", kind.cure, needs_keytool="keystore" in name)


def ec(tools: KeyTools, *arguments: str) -> str:
    """Return an elliptic-curve key."""
    return tools.openssl("ecparam", "-name", "prime256v1", "-genkey", *arguments)


REFUSED = [
    refused("PKCS #12 with a password", lambda tools: tools.pkcs12(), Kind.PKCS12),
    refused("PKCS #12 without a password", lambda tools: tools.pkcs12(""), Kind.PKCS12),
    refused("PKCS #12 in base64", lambda tools: base64.encodebytes(tools.pkcs12()).decode(), Kind.PKCS12),
    refused("a Java keystore (JKS)", lambda tools: tools.keystore("JKS", "server.jks"), Kind.KEYSTORE),
    refused("a Java keystore (JCEKS)", lambda tools: tools.keystore("JCEKS", "server.jceks"), Kind.KEYSTORE),
    refused("a Java keystore (PKCS12, today's default)", lambda tools: tools.keystore("PKCS12", "server.pfx"), Kind.PKCS12),
    refused(
        "an encrypted PEM (PKCS #8)",
        lambda tools: tools.openssl("pkcs8", "-topk8", "-passout", f"pass:{PASSWORD}", text=tools.key),
        Kind.ENCRYPTED,
    ),
    refused(
        "an encrypted PEM (Proc-Type)",
        lambda tools: tools.openssl("rsa", "-traditional", "-aes256", "-passout", f"pass:{PASSWORD}", text=tools.key),
        Kind.ENCRYPTED,
    ),
    refused("encrypted, in OpenSSH's format", lambda tools: tools.ssh_keygen("-p", "-N", PASSWORD), Kind.ENCRYPTED_OPENSSH),
    refused("elliptic curve (PKCS #8)", lambda tools: tools.openssl("pkcs8", "-topk8", "-nocrypt", text=ec(tools)), Kind.EC),
    refused("elliptic curve (SEC 1)", lambda tools: ec(tools, "-noout"), Kind.EC),
    refused("elliptic curve, its parameters first", ec, Kind.EC),
    refused("elliptic curve, explicit parameters", lambda tools: ec(tools, "-param_enc", "explicit"), Kind.EC),
    refused("elliptic curve, in OpenSSH's format", lambda tools: tools.new_ssh_key("ecdsa"), Kind.EC),
    refused("Ed25519", lambda tools: tools.openssl("genpkey", "-algorithm", "ED25519"), Kind.ED25519),
    refused("Ed25519, in OpenSSH's format", lambda tools: tools.new_ssh_key("ed25519"), Kind.ED25519),
    refused("DSA", lambda tools: tools.openssl("dsaparam", "-genkey", "-noout", "1024"), Kind.DSA),
    refused(
        "RSA-PSS",
        lambda tools: tools.openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"),
        Kind.RSA_PSS,
    ),
    refused("X25519", lambda tools: tools.openssl("genpkey", "-algorithm", "X25519"), Kind.OTHER_KEY),
    refused("PuTTY's .ppk", lambda tools: f"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n{body(tools.key)}", Kind.PUTTY),
    refused("a JSON Web Key", lambda _: json.dumps({"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}), Kind.JWK),
    refused("a JSON Web Key in its field", lambda _: json.dumps({"private_key": {"kty": "RSA", "d": "AQAB"}}), Kind.JWK),
    refused(".NET's XML", lambda tools: f"<RSAKeyValue><D>{body(tools.key)}</D></RSAKeyValue>", Kind.XML),
    refused("a public key", lambda tools: tools.openssl("pkey", "-pubout", text=tools.key), Kind.PUBLIC),
    refused("a public key (PKCS #1)", lambda tools: tools.openssl("rsa", "-RSAPublicKey_out", text=tools.key), Kind.PUBLIC),
    refused("a public key (ssh-rsa)", lambda tools: tools.ssh_public, Kind.PUBLIC),
    refused("a certificate request", lambda tools: tools.request, Kind.REQUEST),
    refused("a certificate alone", lambda tools: tools.certificate, Kind.CERTIFICATE),
    refused(
        "a PKCS #7 file",
        lambda tools: tools.certificate and tools.openssl("crl2pkcs7", "-nocrl", "-certfile", "server.crt"),
        Kind.PKCS7,
    ),
    refused("parameters alone", lambda tools: tools.openssl("ecparam", "-name", "prime256v1"), Kind.PARAMETERS),
    refused("the end cut off", lambda tools: tools.key[:-300], Kind.TRUNCATED),
    refused("a line lost", lambda tools: tools.key.replace(tools.key.splitlines()[5] + "\n", ""), Kind.TRUNCATED),
    refused("a character changed", lambda tools: tools.key[:500] + "!" + tools.key[501:], Kind.DAMAGED),
    refused("digits changed", lambda tools: tools.key.replace(tools.key[500:510], tools.key[501:511]), Kind.DAMAGED),
    refused("placeholder: PEM in angle brackets", lambda _: secret("<PEM>"), Kind.PLACEHOLDER),
    refused("placeholder: changeme", lambda _: "changeme", Kind.PLACEHOLDER),
    refused("placeholder: a variable", lambda _: secret("${PRIVATE_KEY}"), Kind.PLACEHOLDER),
    refused(
        "placeholder: a PEM of dots", lambda _: "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", Kind.PLACEHOLDER
    ),
    refused("the name of a file", lambda _: "/home/me/server.key", Kind.PATH),
    refused("the name of a file (file://)", lambda _: secret("file://server.key"), Kind.PATH),
    refused("the name of a file (Windows)", lambda _: r"C:\Users\me\server.pem", Kind.PATH),
    refused("an ARN", lambda _: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf", Kind.ARN),
    refused("a generated password", lambda _: "q8T$w2!mZr9@Kc4#Lx7&Vb1", Kind.NOTHING),
    Situation(
        "1,024 bits",
        lambda tools: tools.openssl("genrsa", "1024"),
        "The RSA key has 1024 bits; at least 2048 are needed.",
        NEW_KEY,
    ),
    Situation(
        "over 4,096 bits",
        lambda tools: tools.openssl("genrsa", "4104"),
        "The RSA key has 4104 bits; at most 4096 are accepted.",
        NEW_KEY,
    ),
    Situation(
        "the public exponent 3",
        lambda tools: tools.openssl("genrsa", "-3", "2048"),
        "The RSA key has another public exponent than 65537.",
        NEW_KEY,
    ),
    Situation("two different keys", lambda tools: tools.key + tools.other_key, TWO_KEYS, ONE),
    Situation("an RSA key and an elliptic-curve key", lambda tools: tools.key + ec(tools), TWO_KEYS, ONE),
    Situation(
        "a certificate of another key",
        lambda tools: tools.other_key + tools.certificate,
        "The certificate does not belong to the private key.",
        PAIR,
    ),
    Situation(
        "no certificate in its field",
        lambda tools: json.dumps({"private_key": tools.key, "certificate": tools.request}),
        "There is no certificate: its text holds a certificate request.",
        "Send server.crt: openssl x509 -in server.crt -noout succeeds for it.",
    ),
    Situation("empty", lambda _: "", "The key text is empty.", refusals.IMPORT_HINT),
    Situation("the console's empty pair", lambda _: '{"":""}', "The key text has no 'private_key'.", refusals.IMPORT_HINT),
    Situation(
        "JSON whose quotes the shell took",
        lambda tools: secret(tools.key).replace('"', ""),
        "The key text is JSON that is damaged at line 1, column 2.",
        Kind.JSON.cure,
    ),
    Situation(
        "a consumer key with a blank inside",
        lambda tools: secret(tools.key, "3MVG9 abc"),
        "The consumer key ('client_id') is not one: it has blanks, control characters or others that no consumer key has.",
        "Copy it from the app: Settings > OAuth Settings > Consumer Key and Secret.",
    ),
    Situation(
        "two different consumer keys",
        lambda tools: json.dumps({"client_id": "one", "consumerKey": "two", "private_key": tools.key}),
        "The key text has 'client_id' twice, with different values.",
        "Keep one of them.",
    ),
    Situation("over 64 KB", lambda _: "x" * 65_537, "The key text is longer than 64 KB.", refusals.IMPORT_HINT),
]
"""Each by its own name, with what cures it."""
