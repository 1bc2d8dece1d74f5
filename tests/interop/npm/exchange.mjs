// openid-client: a token exchange over mutual TLS at whatever the RFC 8414 metadata name. For a user, jose makes and
// signs the impersonation assertion; a token is sent as it is. The library knows `token_type` N_A for this grant.
import { createPrivateKey, randomUUID } from 'node:crypto';
import * as client from 'openid-client';
import { importPKCS8, SignJWT } from 'jose';
import { answer, connected } from './peer.mjs';

const TYPE = 'urn:ietf:params:oauth:token-type';

function assertion({ client: name, issuer, user, key, x5t }) {
  return new SignJWT({ cnf: { 'x5t#S256': x5t } })
    .setProtectedHeader({ alg: 'ES256', typ: 'rrs-impersonation+jwt' })
    .setIssuer(name).setAudience(issuer).setSubject(user).setJti(randomUUID())
    .setIssuedAt().setNotBefore('0s').setExpirationTime('60s')
    .sign(createPrivateKey(key));
}

async function method({ assertion_key: text, kid }) {
  if (!text) return client.TlsClientAuth();
  const key = await importPKCS8(text, 'ES256');
  const typed = (header) => { header.typ = 'client-authentication+jwt'; };
  return client.PrivateKeyJwt({ key, kid }, { [client.modifyAssertion]: typed });
}

await answer(async (job) => {
  const options = { algorithm: 'oauth2', [client.customFetch]: connected(job) };
  const config = await client.discovery(new URL(job.issuer), job.client, undefined, await method(job), options);
  const said = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:token-exchange', {
    subject_token: job.token ?? await assertion(job),
    subject_token_type: `${TYPE}:${job.kind ?? 'jwt'}`,
    requested_token_type: `${TYPE}:jwt`,
    resource: job.resource,
  });
  return { ...said, endpoint: config.serverMetadata().token_endpoint };
});
