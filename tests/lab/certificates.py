"""A private authority, and the certificate that it signs for the lab's load balancer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from . import paths
from .hosts import BY_NAME

TLS = paths.ACCESS / "tls"
AUTHORITY = TLS / "authority.pem"
HOST = "gw-1"
"""The host of the load balancer."""

DAYS = 365
LEFT = timedelta(days=30)
"""Certificates with less time left are replaced."""


@dataclass(frozen=True)
class Signed:
    """A certificate, its key, and the authority that signed it, each as PEM."""

    authority: bytes
    certificate: bytes
    key: bytes


def write() -> None:
    """Write authority.pem, load_balancer.pem and load_balancer.key, unless they are valid."""
    TLS.mkdir(mode=0o700, exist_ok=True)
    if _is_valid(TLS / "load_balancer.pem") and _is_valid(AUTHORITY):
        return
    signed = sign(HOST, BY_NAME[HOST].address)
    AUTHORITY.write_bytes(signed.authority)
    (TLS / "load_balancer.pem").write_bytes(signed.certificate)
    (TLS / "load_balancer.key").write_bytes(signed.key)


def sign(host: str, address: IPv4Address) -> Signed:
    """Return a certificate for a name and an address, signed by an authority of its own."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mirrorfleet lab authority")])
    own_key = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    root = (
        _builder(authority, authority, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(own_key, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    names = [x509.DNSName(host), x509.IPAddress(address)]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_key)
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    certificate = (
        _builder(name, authority, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(server, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return Signed(
        authority=root.public_bytes(pem),
        certificate=certificate.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
    )


def _builder(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=DAYS))
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _is_valid(path: Path) -> bool:
    """Return whether a certificate exists and is valid for some time."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    return found.not_valid_after_utc - datetime.now(UTC) > LEFT
