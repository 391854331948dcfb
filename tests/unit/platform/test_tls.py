"""TLS from the first start: modes, names, renewal, refusals."""

from __future__ import annotations

import base64
import hashlib
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from brakeline.agent import transport
from brakeline.cli import client
from brakeline.core.clock import ManualClock
from brakeline.platform import tls
from brakeline.platform.clock import BUILT_MS
from brakeline.platform.tls import ClockWrong, TlsUnusable, ensure_tls

DAY_S = 86_400


def leaf(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates((path / "tls/server.pem").read_bytes())[0]


def test_keys_are_for_us_alone_and_certificates_for_everybody(tmp_path: Path, clock: ManualClock) -> None:
    ensure_tls(tmp_path, (), clock)
    modes = {p.name: oct(stat.S_IMODE(p.stat().st_mode)) for p in (tmp_path / "tls").iterdir()}
    assert modes == {"ca.key": "0o600", "server.key": "0o600", "ca.pem": "0o644", "server.pem": "0o644"}
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_the_certificate_has_the_fixed_name_and_the_public_ones(tmp_path: Path, clock: ManualClock) -> None:
    files = ensure_tls(tmp_path, ("patch.example.org", "192.0.2.7"), clock)
    names = leaf(tmp_path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"cell.brakeline.internal", "localhost", "patch.example.org"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "192.0.2.7"} <= {str(a) for a in names.get_values_for_type(x509.IPAddress)}
    leaf(tmp_path).verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca_file.read_bytes()))


def test_the_pins_are_those_of_curl_and_of_the_enrolment_script(tmp_path: Path, clock: ManualClock) -> None:
    files = ensure_tls(tmp_path, (), clock)
    spki = leaf(tmp_path).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ca = x509.load_pem_x509_certificate(files.ca_file.read_bytes())
    assert files.ca_pin() == (
        "sha256//" + base64.b64encode(hashlib.sha256(spki).digest()).decode(),
        hashlib.sha256(ca.public_bytes(Encoding.DER)).hexdigest(),
    )


def test_a_good_certificate_is_kept(tmp_path: Path, clock: ManualClock) -> None:
    assert ensure_tls(tmp_path, (), clock).renewed
    before = leaf(tmp_path).serial_number
    clock.advance(300 * DAY_S)
    assert not ensure_tls(tmp_path, (), clock).renewed
    assert leaf(tmp_path).serial_number == before


@pytest.mark.parametrize(("days", "names"), [(336, ()), (400, ()), (1, ("new.example.org",))])
def test_it_is_renewed_with_the_same_key_when_it_ends_soon_or_a_name_is_new(
    tmp_path: Path, clock: ManualClock, days: int, names: tuple[str, ...]
) -> None:
    before = ensure_tls(tmp_path, (), clock)
    clock.advance(days * DAY_S)
    after = ensure_tls(tmp_path, names, clock)
    assert after.renewed
    assert after.ca_pin() == before.ca_pin()  # what was printed in an enrolment command stays true


def test_a_clock_before_this_release_was_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(ClockWrong, match=r"1970-01-01.*timedatectl"):
        ensure_tls(tmp_path, (), ManualClock(ms=0))
    ensure_tls(tmp_path, (), ManualClock(ms=BUILT_MS))


def test_a_key_that_others_may_read_is_refused(tmp_path: Path, clock: ManualClock) -> None:
    ensure_tls(tmp_path, (), clock)
    (tmp_path / "tls/ca.key").chmod(0o640)
    with pytest.raises(TlsUnusable, match="chmod 600"):
        ensure_tls(tmp_path, (), clock)


@pytest.mark.parametrize("name", ["ca.key", "ca.pem", "server.key", "server.pem"])
def test_damaged_files_are_named(tmp_path: Path, clock: ManualClock, name: str) -> None:
    ensure_tls(tmp_path, (), clock)
    (tmp_path / "tls" / name).write_text("damaged")
    with pytest.raises(TlsUnusable, match=name):
        ensure_tls(tmp_path, (), clock)


def test_an_authority_with_another_key_is_refused(tmp_path: Path, clock: ManualClock) -> None:
    ensure_tls(tmp_path / "a", (), clock)
    ensure_tls(tmp_path / "b", (), clock)
    (tmp_path / "a/tls/ca.key").write_bytes((tmp_path / "b/tls/ca.key").read_bytes())
    with pytest.raises(TlsUnusable, match="belong together"):
        ensure_tls(tmp_path / "a", (), clock)


def test_an_expired_authority_is_refused_with_the_clock_as_first_suspect(tmp_path: Path, clock: ManualClock) -> None:
    ensure_tls(tmp_path, (), clock)
    clock.advance(3651 * DAY_S)
    with pytest.raises(TlsUnusable, match="Check the clock first"):
        ensure_tls(tmp_path, (), clock)


def test_agent_and_command_line_expect_the_same_name() -> None:
    assert tls.SERVER_NAME == client.SERVER_NAME == transport.SERVER_NAME
