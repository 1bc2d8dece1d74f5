"""Good tokens spoiled in every way that J and D of the threat list know: names of cases and texts of tokens."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.forgery import Forge, b64, es256, jws

Spoiled = Iterator[tuple[str, str]]

TYPES = ("at+jwt", "rrs-impersonation+jwt", "rrs-delegation+jwt", "rrs-receipt+jwt", "JWT", "logout+jwt", "dpop+jwt",
         "token-introspection+jwt", "secevent+jwt", "", None, 7, ["at+jwt"])  # fmt: skip
STRANGER = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()


def resigned(forge: Forge, signature: Callable[[bytes], bytes], header: dict[str, Any] | None = None) -> str:
    """The token with another signature over its own text."""
    first, second = b64(json.dumps(header or forge.header)), b64(json.dumps(forge.claims))
    return f"{first}.{second}.{b64(signature(f'{first}.{second}'.encode()))}"


def algorithms(forge: Forge) -> Spoiled:
    """J-01, J-02, J-03."""
    public = forge.key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    numbers = public.public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": b64(numbers.x.to_bytes(32, "big")),
        "y": b64(numbers.y.to_bytes(32, "big")),
    }
    secrets = (pem, pem.strip(), public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
               json.dumps(jwk).encode(), b"")  # fmt: skip
    for name in ("none", "None", "nOnE", "", None, 256, ["ES256"], "es256", "ES384", "ES256K"):
        header = {**forge.header, "alg": name}
        yield f"j01 alg {name!r} unsigned", resigned(forge, lambda _: b"", header)
        yield f"j01 alg {name!r} signed", resigned(forge, lambda text: es256(forge.key, text), header)
    yield "j01 ES256 with nothing", resigned(forge, lambda _: b"")
    for number, secret in enumerate(secrets):
        header = {**forge.header, "alg": "HS256"}
        made = resigned(forge, lambda text, secret=secret: hmac.digest(secret, text, hashlib.sha256), header)  # type: ignore[misc]
        yield f"j02 HS256 {number}", made
    rs = (padding.PKCS1v15(), padding.PSS(padding.MGF1(hashes.SHA256()), 32))
    for name, pad in zip(("RS256", "PS256"), rs, strict=True):
        sign = lambda text, pad=pad: RSA.sign(text, pad, hashes.SHA256())  # noqa: E731
        yield f"j03 {name} by another key", resigned(forge, sign, {**forge.header, "alg": name})
    yield "j03 EdDSA by another key", resigned(forge, ED.sign, {**forge.header, "alg": "EdDSA"})
    yield "j03 EdDSA named", resigned(forge, lambda text: es256(forge.key, text), {**forge.header, "alg": "EdDSA"})


def signatures(forge: Forge) -> Spoiled:
    """J-04, J-05."""
    flip = lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]  # noqa: E731
    sign = lambda text: es256(forge.key, text)  # noqa: E731
    yield "j04 another message", resigned(forge, lambda _: sign(b"another"))
    for at in (0, 31, 32, 63):
        yield f"j04 flipped {at}", resigned(forge, lambda text, at=at: flip(sign(text), at))  # type: ignore[misc]
    for name, made in (("zero", bytes(64)), ("ff", b"\xff" * 64), ("r=0", bytes(32) + b"\1" * 32)):
        yield f"j04 {name}", resigned(forge, lambda _, made=made: made)  # type: ignore[misc]
    yield "j04 swapped", resigned(forge, lambda text: (lambda s: s[32:] + s[:32])(sign(text)))
    yield "j04 DER", resigned(forge, lambda text: (lambda s: encode_dss_signature(
        int.from_bytes(s[:32], "big"), int.from_bytes(s[32:], "big")))(sign(text)))  # fmt: skip
    yield "j04 a stranger's", resigned(forge, lambda text: es256(STRANGER, text))
    for name, change in (
        ("short", lambda s: s[:63]), ("long", lambda s: s + b"\0"),
        ("padded", lambda s: b"\0" + s[:32] + b"\0" + s[32:]),
        ("twice", lambda s: s + s),
    ):  # fmt: skip
        yield f"j05 {name}", resigned(forge, lambda text, change=change: change(sign(text)))  # type: ignore[misc]


def shapes(forge: Forge) -> Spoiled:
    """J-08: other serializations, and JSON with two readings."""
    good = forge.text()
    first, second, third = good.split(".")
    header, claims = json.dumps(forge.header), json.dumps(forge.claims)
    for name, text in (
        ("two parts", f"{first}.{second}"), ("four parts", f"{good}.{third}"),
        ("five parts", f"{good}.{third}.{third}"),
        ("padded", f"{first}.{second}.{third}=="), ("dots", "..."), ("empty claims", f"{first}..{third}"),
        ("detached", f"{first}..{third}"), ("JSON", b64(json.dumps({"payload": second, "protected": first}))),
        ("standard base64", f"{first}.{second}.{base64.b64encode(b'+' * 64).decode()}"),
    ):  # fmt: skip
        yield f"j08 {name}", text
    for name in ("alg", "typ"):
        yield f"j08 {name} twice", jws(f'{header[:-1]}, "{name}": "none"}}'.encode(), claims.encode(), forge.key)
    for name in ("iss", "sub", "exp", "aud", "jti"):
        value = json.dumps(forge.claims[name])
        yield f"j08 {name} twice", jws(forge.header, f'{claims[:-1]}, "{name}": {value}}}'.encode(), forge.key)
    for name, raw in (
        ("NaN", f'{claims[:-1]}, "x": NaN}}'.encode()), ("Infinity", f'{claims[:-1]}, "x": -Infinity}}'.encode()),
        ("UTF-8", f'{claims[:-1]}, "x": "'.encode() + b'\xff\xfe"}'), ("UTF-16", claims.encode("utf-16")),
        ("BOM", b"\xef\xbb\xbf" + claims.encode()), ("surrogate", f'{claims[:-1]}, "x": "\\ud800"}}'.encode()),
        ("array", f"[{claims}]".encode()), ("trailing", claims.encode() + b"{}"),
        ("deep", b'{"x":' * 500 + b"1" + b"}" * 500),
        ("text", b'"iss"'), ("null", b"null"), ("huge number", f'{claims[:-1]}, "x": 1{"0" * 5000}}}'.encode()),
    ):  # fmt: skip
        yield f"j08 {name}", jws(forge.header, raw, forge.key)


def headers(forge: Forge) -> Spoiled:
    """J-11 and extensions: whatever brings its own key, or changes what is signed."""
    numbers = STRANGER.public_key().public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": b64(numbers.x.to_bytes(32, "big")),
        "y": b64(numbers.y.to_bytes(32, "big")),
    }
    for name, value in (
        ("jku", "https://evil.test/jwks"), ("x5u", "https://evil.test/cert"), ("jwk", jwk), ("x5c", ["MIIB"]),
        ("crit", ["exp"]), ("b64", False), ("zip", "DEF"),
    ):  # fmt: skip
        yield f"j11 {name} good key", forge.text({name: value})
        yield f"j11 {name} own key", jws({**forge.header, name: value}, forge.claims, STRANGER)


def types(forge: Forge) -> Spoiled:
    """J-13: a token of another kind."""
    for typ in TYPES:
        if typ != forge.header["typ"]:
            yield f"j13 {typ!r}", forge.text({"typ": typ})
    yield "j13 none", forge.text({"typ": ...})


def kids(forge: Forge) -> Spoiled:
    """J-09: keys that are not named, not known, or somebody else's."""
    for kid in ("unknown", ..., "", 5, "x" * 300, "../jwks", "a b"):
        yield f"j09 {kid!r}", forge.text({"kid": kid})


def parties(forge: Forge) -> Spoiled:
    """J-14, J-15."""
    iss, aud = forge.claims["iss"], forge.claims["aud"]
    host = iss.removeprefix("https://")
    for name in ("iss", "aud"):
        value = forge.claims[name]
        for other in (..., None, "", 7, [value], {"x": value}, value + "/", value.upper(), value + " ", value[:-1],
                      value.replace("https:", "http:") + "?", "https://evil.test", f"https://evil.test@{host}",
                      f"https://{host}.evil.test", "https://bаr.test", "https://xn--br-7kc.test"):  # noqa: RUF001  # fmt: skip
            yield f"{'j14' if name == 'iss' else 'j15'} {name} {other!r}", forge.text(**{name: other})
    yield "j15 empty array", forge.text(aud=[])
    yield "j15 with a stranger", forge.text(aud=[aud, "https://evil.test"])
    yield "j15 token endpoint", forge.text(aud=f"{aud}/token")


def times(forge: Forge) -> Spoiled:
    """J-16."""
    now, exp = forge.claims["iat"], forge.claims["exp"]
    for value in (..., None, now - 31, 0, str(exp), 1.5e308, exp + 0.5, float(exp), -exp, True, now, now - 1, [exp],
                  2**63, 10**400, now + 10**7):  # fmt: skip
        yield f"j16 exp {str(value)[:20]}", forge.text(exp=value)
    yield "j16 long over", forge.text(iat=now - 400, nbf=now - 400, exp=now - 60)
    for name in ("iat", "nbf"):
        for value in (None, str(now), True, float(now), now + 40, -1, exp):
            yield f"j16 {name} {value!r}", forge.text(**{name: value})
    yield "j16 iat missing", forge.text(iat=...)


def names(forge: Forge) -> Spoiled:
    """J-19: `jti` that cannot be remembered. D-03: subjects that are no address."""
    for jti in (..., None, "", "x" * 10240, 7, ["a"], "a b", "\n", "\0", "ü"):
        yield f"j19 {str(jti)[:20]!r}", forge.text(jti=jti)
    for sub in (..., None, "", 7, ["bob@bar.test"], "bob", "bob@", "@bar.test", "bob@bar.test@evil.test",
                "bob@bar.test ", '"bob@bar.test"@evil.test', "bob@bar.test\0.evil.test",
                "bob@[1.2.3.4]", "bob@localhost",
                "alice.baz.test",
                "x" * 400 + "@bar.test", "bob@bar.test\r\nx", "bob@bar..test", "bob@.bar.test"):  # fmt: skip
        yield f"d03 {sub!r}"[:60], forge.text(sub=sub)
