"""What a site's backend needs beside its site key: it signs permits and vouchers, and
verifies or claims receipts. One file, Python 3.9 or newer with the package cryptography:
copy it into your project.

    permit = sign_permit(site_key, site="shop", connection="payments", mode="live",
                         operation="create-payment-intent", origin="https://shop.example",
                         session=visit,  # from visit() in the page
                         sealed={"amount": 1900})

Formats: docs/formats/permit.md and docs/formats/receipt.md; backend/vectors.json holds
examples that every helper passes.
"""

import base64
import json
import re
import secrets
import threading
import time
import urllib.error
import urllib.request

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

#: As a permit's session it lets every visit use the permit. Name the visit where you can.
ANY_SESSION = "any"


def sign_permit(site_key, *, site, connection, mode, operation, origin, session, sealed=None, uses=1, life=300, id=None, now=None):
    """Signs a permit with a site key (sallyport keys create SITE).

    sealed: values by parameter path, exactly those that the site's file seals.
    uses: how many calls it allows. life: seconds, at most 900. id: uses of one id are
    counted together; None: random. now: Unix seconds; None: the clock.
    """
    names = {"site": site, "connection": connection, "mode": mode, "operation": operation, "origin": origin, "session": session}
    _need("permit", names)
    start, end = _times(now, life)
    return _sign("sallyport-permit+jwt", site_key,
                 {"jti": id or _random(), **names, "sealed": sealed or {}, "uses": uses, "nbf": start, "exp": end})


def sign_voucher(site_key, *, site, session, life=300, id=None, now=None):
    """Signs a voucher, which says that your backend knows the visitor; the key must be for all connections."""
    _need("voucher", {"site": site, "session": session})
    return _sign("sallyport-voucher+jwt", site_key, {"jti": id or _random(), "site": site, "session": session, "exp": _times(now, life)[1]})


def _need(what, fields):
    for name, value in fields.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"a {what} needs {name}, a text")


def _times(now, life):
    if not isinstance(life, int) or not 1 <= life <= 900:
        raise ValueError("life is whole seconds from 1 to 900")
    now = int(time.time()) if now is None else now
    return now, now + life


def _random():
    return secrets.token_urlsafe(16)


def _b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _sign(typ, site_key, claims):
    if not isinstance(site_key, str) or len(site_key) < 8:
        raise ValueError("the site key is missing")
    seed = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"sallyport/v1/site-key/permit").derive(site_key.encode())
    key = Ed25519PrivateKey.from_private_bytes(seed)
    kid = _b64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    signed = _b64(_json({"alg": "EdDSA", "typ": typ, "kid": kid})) + "." + _b64(_json(claims))
    token = signed + "." + _b64(key.sign(signed.encode()))
    if len(token) > 4096:
        raise ValueError(f"the token has {len(token)} bytes, more than the 4096 that the gate reads: seal less")
    return token


class ReceiptError(Exception):
    """Why a receipt does not count; reason is malformed, key, signature, claims, site,
    connection, mode, operation, session, expired, early, used or refused."""

    def __init__(self, reason):
        super().__init__("the receipt does not hold: " + reason)
        self.reason = reason


def verify_receipt(token, *, site, connection, mode, operation, keys, used, session=None, now=None):
    """Verifies a receipt offline, with the gate's key set, uses it up, and gives its claims.

    site to operation are what the receipt must be about. keys: a KeySet. used: an object
    with claim(id, expires), which must be atomic over all processes of your backend, such
    as an INSERT with a primary key in the transaction that fulfils the order, and give True
    if the id was not there; rows may go after expires, in Unix seconds.
    """
    now = int(time.time()) if now is None else now
    parts = token.split(".") if isinstance(token, str) and len(token) <= 4096 else []
    if len(parts) != 3:
        raise ReceiptError("malformed")
    head, payload, signature = (_unb64(part) for part in parts)
    header = _object(head, "malformed")
    if len(header) != 3 or header.get("alg") != "EdDSA" or header.get("typ") != "sallyport-receipt+jwt":
        raise ReceiptError("malformed")
    try:
        keys.find(header.get("kid")).verify(signature, (parts[0] + "." + parts[1]).encode())
    except InvalidSignature:
        raise ReceiptError("signature") from None
    receipt = _checked(_object(payload, "claims"))
    if now >= receipt["exp"]:
        raise ReceiptError("expired")
    if receipt["iat"] > now + 60:
        raise ReceiptError("early")
    _expect(receipt, site, connection, mode, operation, session)
    if used.claim(receipt["jti"], receipt["exp"]) is not True:
        raise ReceiptError("used")
    return receipt


def _unb64(part):
    try:
        raw = base64.b64decode(part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise ReceiptError("malformed") from None
    if not raw or _b64(raw) != part:
        raise ReceiptError("malformed")
    return raw


def _object(raw, reason):
    try:
        value = json.loads(raw.decode("utf-8"))
    except ValueError:
        raise ReceiptError(reason) from None
    if not isinstance(value, dict):
        raise ReceiptError(reason)
    return value


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _checked(r):
    times = _whole(r.get("iat")) and _whole(r.get("exp")) and 0 < r["exp"] - r["iat"] <= 300
    if r.get("iss") != "sallyport" or not isinstance(r.get("jti"), str) or not r["jti"] or not times or not isinstance(r.get("fields"), dict):
        raise ReceiptError("claims")
    return r


def _expect(receipt, site, connection, mode, operation, session):
    _need("receipt to expect", {"site": site, "connection": connection, "mode": mode, "operation": operation})
    for claim, reason, wanted in (("aud", "site", site), ("connection", "connection", connection), ("mode", "mode", mode),
                                  ("operation", "operation", operation)):
        if receipt.get(claim) != wanted:
            raise ReceiptError(reason)
    if session is not None and receipt.get("session") != session:
        raise ReceiptError("session")


def claim_receipt(gate, site_key, token, *, site, connection, mode, operation, session=None):
    """Has the gate verify a receipt and use it up: no key set and no memory of your own are
    needed. gate is the site's address, such as https://api.shop.example. If the answer is
    lost on the way, the receipt is used up: then look the order up at the provider."""
    request = urllib.request.Request(gate.rstrip("/") + "/receipts", data=_json({"receipt": token}), method="POST",
                                     headers={"Authorization": "Bearer " + site_key, "Content-Type": "application/json"})
    try:
        with _opener.open(request, timeout=10) as answer:
            receipt = _checked(_object(answer.read(1 << 20), "claims"))
    except urllib.error.HTTPError as refusal:
        if refusal.code in (403, 409):
            raise ReceiptError("used" if refusal.code == 409 else "refused") from None
        raise RuntimeError(f"claim receipt: the gate answered with status {refusal.code}") from None
    _expect(receipt, site, connection, mode, operation, session)
    return receipt


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A site key goes where it was sent to, or nowhere."""

    def redirect_request(self, *args):
        return None


_opener = urllib.request.build_opener(_NoRedirect)


class KeySet:
    """The gate's key set, https://GATE/.well-known/jwks.json, kept as long as the gate says.
    Make one and keep it; it may be used by many threads."""

    def __init__(self, url):
        self._url, self._keys, self._until, self._asked, self._lock = url, {}, 0.0, float("-inf"), threading.Lock()

    def find(self, kid):
        """Reads the set again when it is too old, and for an unknown key at most once a minute."""
        with self._lock:
            now = time.monotonic()
            if now > self._until or kid not in self._keys and now - self._asked >= 60:
                self._asked = now
                self._read(now)
            if kid not in self._keys:
                raise ReceiptError("key")
            return self._keys[kid]

    def _read(self, now):
        with _opener.open(self._url, timeout=10) as answer:
            document = json.loads(answer.read(1 << 20))
            age = re.search(r"max-age=([0-9]{1,6})", answer.headers.get("Cache-Control", ""))
        self._keys = {k["kid"]: Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(k["x"] + "=" * (-len(k["x"]) % 4)))
                      for k in document["keys"] if k.get("kty") == "OKP" and k.get("crv") == "Ed25519"}
        self._until = now + (int(age[1]) if age else 60)
