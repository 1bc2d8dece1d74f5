"""Every parser of `rrsd.core.wire`, with good inputs and the worst that one may be given: what `tests.fuzz` fuzzes.

A new parser comes in with one entry of `TABLE`; `tests.architecture.test_fuzz` fails until it has.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from attrs import evolve

from rrsd.core.values.addresses import parse_address, parse_client_identifier, parse_domain
from rrsd.core.values.digests import parse_digest, parse_hex_digest, parse_ni
from rrsd.core.values.peers import parse_issuer, parse_origin, parse_url
from rrsd.core.values.records import Text
from rrsd.core.values.resources import CHUNK, Blob, Named, Renewal
from rrsd.core.values.tokens import Kind
from rrsd.core.wire import (
    base64url,
    chunks,
    delegation,
    dkim,
    exchange,
    fields,
    jose,
    keys,
    metadata,
    milter,
    mime,
    mime_external,
    mime_fields,
    mime_parts,
    mime_shape,
    oauth,
    postfix,
    receipts,
    renewals,
    smtp,
    strictjson,
    subjects,
    texts,
    webfinger,
    x509,
)
from tests.core import signing
from tests.core.vectors import published
from tests.core.vectors.dkim import TEST
from tests.core.wire import mutations
from tests.core.wire.fuzzing import Parser
from tests.core.wire.fuzzing import document as _document
from tests.core.wire.fuzzing import octets as _octets
from tests.core.wire.fuzzing import text as _text
from tests.core.wire.mime_cases import OUTGOING, external, lines, message, prototype
from tests.core.wire.worst import DOCUMENT, MESSAGE, long_jsons, long_messages

_DIGEST = signing.CERTIFICATE.x5t
_BLOB = Blob(_DIGEST, CHUNK + 1, (_DIGEST, _DIGEST))
_RENEWAL = Renewal(signing.NOW, (Named("1@foo.test", _DIGEST), Named("2@foo.test", _DIGEST)))
_END = signing.NOW + timedelta(seconds=300)
_ED = keys.describe(signing.ED_KEY.public_key())
_KEYS = {
    "keys": [
        {**_ED, "kid": "1", "use": "sig", "alg": "EdDSA"},
        {**published.MTLS_JWK, "kid": "2", "key_ops": ["verify"]},
        published.RSA_JWK,
    ]
}
_ISSUER = {
    "issuer": "https://bar.test/a",
    "jwks_uri": "https://bar.test/jwks",
    "token_endpoint": "https://bar.test/token",
    "protected_resources": ["https://rs.bar.test", "https://bar.test/x"],
    "authorization_endpoint": "https://bar.test/a?b=c",
    "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.bar.test:8443/token"},
    "introspection_endpoint": "https://bar.test/i",
    "claims_endpoint": "https://bar.test/c",
    "rrs_retrieval_agent": "_rra.bar.test",
}
_RESOURCE = {"resource": "https://rs.bar.test", "authorization_servers": ["https://bar.test", "https://id.bar.test/x"]}
_LINK = {"rel": webfinger.ISSUER_REL, "href": "https://bar.test"}
_KEY_LINK = {"rel": webfinger.PUBLIC_KEY_REL, "properties": {webfinger.HASH_PROPERTY: _DIGEST.hex}}
_DETAILS = [{"type": "rrs_message", "message_id": "1@foo.test"}, {"type": "rrs_message", "message_id": "2@foo.test"}]
_FORM = {
    "grant_type": exchange.GRANT_TYPE,
    "client_id": "_rra.bar.test",
    "subject_token": "a.b.c",
    "subject_token_type": str(exchange.SubjectType.JWT),
    "resource": "https://rs.foo.test",
    "authorization_details": json.dumps(_DETAILS),
}
_CLAIMS = {**signing.delegation(), "authorization_details": _DETAILS}
_PEM = signing.CERTIFICATE.key_pem
_JWS = signing.raw_jws(b'{"alg":"ES256","typ":"rrs-delegation+jwt","kid":"k1"}', json.dumps(_CLAIMS).encode())
_OFFERED = dict.fromkeys(("SIZE", "8BITMIME", "SMTPUTF8", "DSN", "BINARYMIME"), "")
_ADDRESS = "acct:bob@bar.test"


def _jws(typ: str, claims: Any) -> Any:
    header = json.dumps({"alg": "ES256", "typ": typ}).encode()
    return jose.parse_jws(signing.raw_jws(header, json.dumps(claims).encode()), 1 << 20)


_PLAIN = _jws(Kind.DELEGATION, _CLAIMS)


def _delegation_again(found: Any) -> Any:
    return delegation.delegation_claims(
        found.issuer,
        found.audience,
        found.subject,
        found.actor,
        found.confirmation,
        found.issued,
        found.expires,
        found.jti,
        found.message_ids,
    )


def _header_of(raw: bytes) -> Any:
    return mime_fields.parse_fields(raw, 0, len(raw))


def _parts_of(raw: bytes) -> Any:
    header, body = _header_of(raw)
    return mime_parts.parse_parts(raw, header, body, 1000)


def _parameters_of(text: str) -> Mapping[str, str]:
    media = mime_fields.parse_media(f"message/external-body; {text}")
    return {} if media is None else media.parameters


def _external_of(raw: bytes) -> Any:
    header, _ = _header_of(raw)
    service = mime_external.parse_service(header)
    return [mime_external.parse_external(raw, part, service) for part in _parts_of(raw)]


_MESSAGES = (
    mime.render_placeholder(OUTGOING),
    message(
        "--b1",
        *external("Content-Type: a/b; name=x", "Content-Disposition: attachment; filename*0*=UTF-8''%e2", ""),
        "--b1--",
    ),
    message("--b1", *prototype("Content-Type: image/png", "", "dropped"), "--b1--"),
    message("--b1", "Content-Type: multipart/mixed; boundary=b2", "", "--b2", "", "x", "--b2--", "--b1--"),
    lines('From: "Alice (a)" <alice@foo.test> (b)', "Subject: =?utf-8?Q?=C3=A9?= =?iso-8859-1*en?B?6Q==?=", "", "x"),
)

VALUES = (
    _text(parse_domain, "bar.test", "xn--br-via.test", "bär.test", "a-1.bar.test", again=str),
    _text(parse_address, "bob@bar.test", "b.o+b_'{@bar.test", again=str),
    _text(parse_client_identifier, "_rra.bar.test", "rra-1.mail.bar.test", again=str),
    _text(parse_digest, _DIGEST.b64, again=str),
    _text(parse_hex_digest, _DIGEST.hex, again=lambda found: found.hex),
    _text(parse_ni, _DIGEST.ni, again=lambda found: found.ni),
    _text(parse_url, "https://bar.test", "https://bar.test:8443/a/%20b/c;d?e=f&g", again=str),
    _text(parse_origin, "https://bar.test", "https://bar.test:8443", again=str),
    _text(parse_issuer, "https://bar.test", "https://bar.test/a/b", again=str),
)
"""The parsers of values that texts on the wire end in."""

TABLE = (
    _text(base64url.decode, "", "YQ", base64url.encode(bytes(range(256))), most=DOCUMENT, again=base64url.encode),
    _document(
        chunks.parse_chunks,
        chunks.render_chunks(_BLOB),
        call=lambda given: chunks.parse_chunks(given, _DIGEST),
        again=chunks.render_chunks,
    ),
    _document(
        delegation.parse_delegation,
        _CLAIMS,
        again=_delegation_again,
        call=lambda given: evolve(delegation.parse_delegation(_jws(Kind.DELEGATION, given)), jws=_PLAIN),
    ),
    _document(delegation.parse_message_ids, _DETAILS),
    _document(
        delegation.parse_actors,
        {"act": {"sub": "_rra.bar.test", "act": {"sub": "a", "iss": "https://id.bar.test"}}},
        {},
    ),
    _text(
        dkim.parse_signature,
        "v=1; a=rsa-sha256; c=relaxed/relaxed; d=foo.test; s=s1; t=1; x=2; i=@a.foo.test; h=from : to; bh=YQ==; b=YQ==",
        most=16384,
    ),
    _text(
        dkim.parse_seal,
        "i=1; a=rsa-sha256; c=relaxed/relaxed; d=foo.test; s=s1; t=1; h=from : to; bh=YQ==; b=YQ==",
        "i=50; a=rsa-sha256; cv=pass; d=foo.test; s=s1; t=1; b=YQ==",
        most=16384,
    ),
    _text(dkim.parse_instance, "1", "50", again=str),
    _octets(
        dkim.parse_key,
        b"v=DKIM1; k=ed25519; h=sha256; s=email:*; t=s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        TEST,
        most=4096,
    ),
    _document(
        exchange.parse_exchange,
        _FORM,
        call=lambda given: exchange.parse_exchange(
            oauth.parse_form(oauth.FORM, b"", urlencode(given, doseq=True, errors="replace").encode())
        ),
    ),
    _text(fields.parse_range, "bytes=0-99", "bytes=-5", "bytes=7-", call=lambda given: fields.parse_range(given, 100)),
    _text(
        fields.parse_content_range,
        "bytes 0-99/100",
        "bytes 5-5/6",
        again=lambda found: fields.render_content_range(*found),
    ),
    _text(
        fields.parse_repr_digest,
        fields.render_repr_digest(_DIGEST),
        f"md5=:YQ==:, {fields.render_repr_digest(_DIGEST)}",
    ),
    _text(
        fields.parse_retry_after,
        "120",
        "Fri, 20 Nov 2026 08:30:00 GMT",
        call=lambda given: fields.parse_retry_after(given, signing.NOW),
        again=str,
    ),
    _text(fields.parse_wait, "wait=60", 'respond-async, wait = "5"; foo, wait=1'),
    _text(fields.parse_ni_path, fields.ni_path(_DIGEST), again=fields.ni_path),
    _text(jose.parse_jws, _JWS, most=16384, again=lambda found: jose.join_jws(found.signing_input, found.signature)),
    _document(
        jose.parse_key_set,
        _KEYS,
        again=jose.render_key_set,
        worst=lambda: [
            {
                "keys": [
                    {**published.RSA_JWK, "kid": str(number), "n": base64url.encode(b"\xff" * 1024)}
                    for number in range(47)
                ]
            },
            {"keys": [{**_ED, "kid": str(number)} for number in range(100)]},
        ],
    ),
    _document(keys.load_jwk, _ED, published.MTLS_JWK, published.RSA_JWK, again=keys.describe),
    _octets(keys.load_pem, _PEM, most=16384, call=lambda given: keys.describe(keys.load_pem(given))),
    _document(metadata.parse_issuer_metadata, _ISSUER, again=metadata.render_issuer_metadata),
    _document(metadata.parse_resource_metadata, _RESOURCE, again=metadata.render_resource_metadata),
    _octets(mime.parse_placeholder, *_MESSAGES, most=MESSAGE, worst=long_messages),
    _octets(mime.parse_author, *_MESSAGES, most=MESSAGE, worst=long_messages),
    _octets(
        mime_external.parse_service,
        *_MESSAGES,
        most=MESSAGE,
        worst=long_messages,
        call=lambda given: mime_external.parse_service(_header_of(given)[0]),
    ),
    _octets(mime_external.parse_external, *_MESSAGES, most=DOCUMENT, call=_external_of),
    _octets(mime_fields.parse_fields, *_MESSAGES, most=MESSAGE, worst=long_messages, call=_header_of),
    _text(mime_fields.parse_media, 'multipart/mixed; boundary="a b"', "a/b; c*0*=UTF-8''%e2%82; c*1=x (y (z))"),
    _text(mime_fields.parse_word, 'attachment; filename="a\\"b"', "inline (x); filename*=utf-8'en'a"),
    _text(mime_fields.decode_words, "=?utf-8?Q?=C3=A9_a?= =?koi8-r*ru?B?wQ==?= b", most=DOCUMENT),
    _text(mime_fields.parse_mailbox, "bob@bar.test", '"Bob, (x)" <bob@bar.test> (y)', most=DOCUMENT, again=str),
    _text(
        mime_fields.parse_date,
        "Fri, 20 Nov 2026 08:30:00 +0000",
        "1 Jan 2026 00:00 GMT",
        most=DOCUMENT,
        again=mime_fields.render_date,
    ),
    _octets(mime_parts.parse_parts, *_MESSAGES, most=DOCUMENT, call=_parts_of),
    _text(
        mime_shape.parse_shape,
        'rrs-line=72; rrs-empty=2; rrs-before=0; rrs-encoding="content-transfer-encoding:BASE64"',
        call=lambda given: mime_shape.parse_shape(_parameters_of(given)),
        again=mime_shape.render_shape,
    ),
    _octets(
        oauth.parse_form,
        urlencode(_FORM).encode(),
        b"a=b&resource=x&resource=y&c=",
        call=lambda given: oauth.parse_form(oauth.FORM, b"", given),
        again=lambda found: urlencode(found.values, doseq=True).encode(),
    ),
    _text(
        oauth.parse_bearer,
        "Bearer a.b-c_d~+/=",
        "bEaReR x",
        call=lambda given: oauth.parse_bearer([given]),
        again=lambda found: f"Bearer {found}",
    ),
    _document(
        receipts.parse_receipt,
        {
            **signing.delegation(),
            "iss": str(signing.CLIENT),
            "resource": _DIGEST.ni,
            "size": 5,
            "stored_at": 1_800_000_000,
            "message_id": "1@foo.test",
        },
        again=lambda found: receipts.receipt_claims(found, signing.ORIGIN, signing.NOW),
    ),
    _document(
        renewals.parse_renewal,
        renewals.render_renewal(_RENEWAL),
        again=renewals.render_renewal,
    ),
    _document(
        renewals.parse_renewed,
        {"renewed": [{"message_id": "1@foo.test", "resource": _DIGEST.ni, "not_after": 1_800_000_000}]},
        call=lambda given: renewals.parse_renewed(given, _RENEWAL.named),
    ),
    Parser(
        strictjson.parse_object,
        (b"{}",),
        mutations.json_texts([_ISSUER, _KEYS, _CLAIMS]),
        strictjson.parse_object,
        lambda: long_jsons(DOCUMENT),
        strictjson.render,
    ),
    Parser(
        strictjson.parse_array,
        (b"[]",),
        mutations.json_texts([_DETAILS, [1, "a", None]]),
        strictjson.parse_array,
        lambda: long_jsons(DOCUMENT),
        strictjson.render,
    ),
    _octets(
        texts.parse_client_keys,
        texts.render_client_keys([_DIGEST, signing.CERTIFICATE.spki]).encode(),
        f"v=grip1; f={_DIGEST.hex};".encode(),
        call=lambda given: texts.parse_client_keys([Text(given), Text(b"v=spf1 -all")]),
        again=lambda found: texts.render_client_keys(found).encode(),
    ),
    _octets(
        texts.parse_issuer_text,
        b"v=rrs1; iss=https://bar.test/a",
        b"v=RRS1; iss=https://rs.bar.test:8443; jwks=/.well-known/jwks.json",
        call=lambda given: texts.parse_issuer_text([Text(given)]),
        again=lambda found: texts.render_issuer_text(found).encode(),
    ),
    _document(
        webfinger.parse_query,
        {"resource": [_ADDRESS], "rel": ["public-key", webfinger.ISSUER_REL]},
        call=lambda given: webfinger.parse_query(
            {
                str(name).encode("utf-8", "replace"): [str(each).encode("utf-8", "replace") for each in _listed(values)]
                for name, values in given.items()
            }
        ),
    ),
    _document(
        webfinger.parse_issuer_link,
        {"subject": _ADDRESS, "links": [_LINK, _KEY_LINK]},
        call=lambda given: webfinger.parse_issuer_link(given, _ADDRESS),
        again=lambda found: webfinger.render_issuer(_ADDRESS, found),
    ),
    _document(
        webfinger.parse_public_keys,
        {"subject": _ADDRESS, "links": [_KEY_LINK, _LINK], "properties": {webfinger.HASH_PROPERTY: _DIGEST.hex}},
        call=lambda given: webfinger.parse_public_keys(given, _ADDRESS),
        again=lambda found: webfinger.render_public_key(_ADDRESS, found),
    ),
    _octets(
        smtp.parse_command,
        b"MAIL FROM:<alice@foo.test> SIZE=10",
        b"NOOP",
        most=smtp.MOST_LINE,
        again=lambda found: f"{found.verb} {found.argument}".rstrip().encode(),
    ),
    _text(
        smtp.parse_mail,
        'FROM:<"a b"@foo.test> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb',
        "FROM:<>",
        again=lambda found: smtp.render_mail(found, _OFFERED).decode().removeprefix("MAIL ").rstrip(),
    ),
    _text(
        smtp.parse_rcpt,
        "TO:<bob@bar.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob@bar.test",
        "TO:<Postmaster>",
        call=lambda given: smtp.parse_rcpt(given, is_utf8=True),
        again=lambda found: smtp.render_rcpt(found, _OFFERED).decode().removeprefix("RCPT ").rstrip(),
    ),
    _text(smtp.parse_chunk, "86 LAST", "0"),
    _text(smtp.parse_xforward, "NAME=mx.foo.test IDENT=4A+2BB ADDR=[UNAVAILABLE]"),
    _text(smtp.decode_xtext, "a+2Bb", again=smtp.encode_xtext),
    _octets(smtp.parse_reply_line, b"250-2.1.0 ok", b"354", most=smtp.MOST_LINE),
    _octets(
        postfix.parse_log_line,
        b"Nov 21 15:42:40 mx postfix/smtpd[1855]: 6EBF22304FA: client=a[127.0.0.1], orig_queue_id=4A-x, orig_client=b",
        b"2026-11-21T15:42:40.1+00:00 mx postfix/qmgr[1664]: 6EBF2: from=<a@b>, size=483, nrcpt=1 (queue active)",
        b"Nov 21 15:42:40 mx postfix/master[9]: warning: process /usr/lib/postfix/sbin/smtpd pid 77 killed by signal 9",
        most=8192,
    ),
    _octets(milter.parse_options, b"\0\0\0\6\0\0\1\xff\0\x1f\xff\xff", most=4096),
    _octets(milter.parse_header, b"Subject\0 x\n y\0", most=milter.MOST_PACKET),
    _octets(milter.parse_sender, b"<alice@foo.test>\0SIZE=10\0", most=4096),
    _octets(
        x509.parse_certificate, signing.der_certificate(signing.ED_KEY), most=x509.MOST, again=lambda found: found.der
    ),
    _octets(x509.parse_pem, published.MTLS_PEM.encode()),
    *(
        _text(subjects.parse_certificate_name, sample, call=partial(subjects.parse_certificate_name, kind))
        for kind, sample in (
            (subjects.NameKind.SUBJECT_DN, "CN=bar.test,OU=_rra+O=Bar\\, Ltd"),
            (subjects.NameKind.URI, "https://bar.test/agent"),
            (subjects.NameKind.IP, "2001:db8::1"),
        )
    ),
)
"""One entry for each `parse_…`, `read_…`, `split_…`, `load_…` and `decode…` of the package."""


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]
