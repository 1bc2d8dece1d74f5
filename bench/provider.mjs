// oidc-provider as an STS that does what rrsd's does: mutual TLS with a registered self-signed certificate, RFC 8693 as
// a grant of its own, the very same impersonation assertions (bound to the certificate, each once), and a JWT that is
// signed ES256, bound to the certificate, and says who acts. What it remembers is in memory, and it writes no trail.
// argv[2] is a JSON file: issuer, client, port, certificate and key (of the server), registered (the client's).
import crypto from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const job = JSON.parse(readFileSync(process.argv[2]));
// The packages are those of `make interop`.
const { resolve } = createRequire(`${job.packages}/package.json`);
const taken = (name) => import(pathToFileURL(resolve(name)));
const { default: Provider, errors } = await taken('oidc-provider');
const { jwtVerify } = await taken('jose');

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';
const own = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
const registered = new crypto.X509Certificate(readFileSync(job.registered));
const seen = new Map();

const presented = (ctx) => ctx.req.socket.getPeerX509Certificate();
const hash = (certificate) => crypto.createHash('sha256').update(certificate.raw).digest('base64url');
const resourceServer = { scope: 'read', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };

async function subject({ subject_token: token, subject_token_type: type }, certificate) {
  if (type !== JWT) throw new errors.InvalidRequest('subject_token_type');
  let claims;
  try {
    ({ payload: claims } = await jwtVerify(token, registered.publicKey, {
      algorithms: ['ES256'], typ: 'rrs-impersonation+jwt', issuer: job.client, audience: job.issuer,
      requiredClaims: ['exp', 'jti', 'sub', 'cnf'],
    }));
  } catch {
    throw new errors.InvalidRequest('subject_token');
  }
  if (claims.cnf['x5t#S256'] !== hash(certificate)) throw new errors.InvalidRequest('bound to another certificate');
  if (seen.has(claims.jti)) throw new errors.InvalidRequest('used');
  seen.set(claims.jti, claims.exp);
  return claims.sub;
}

const provider = new Provider(job.issuer, {
  jwks: { keys: [{ ...own.privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'own' }] },
  clients: [{
    client_id: job.client, redirect_uris: [], response_types: [], grant_types: [GRANT],
    token_endpoint_auth_method: 'self_signed_tls_client_auth', id_token_signed_response_alg: 'ES256',
    tls_client_certificate_bound_access_tokens: true,
    jwks: {
      keys: [{
        ...registered.publicKey.export({ format: 'jwk' }), use: 'sig', x5c: [registered.raw.toString('base64')],
      }],
    },
  }],
  clientAuthMethods: ['self_signed_tls_client_auth'],
  scopes: ['read'],
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    mTLS: {
      enabled: true, certificateBoundAccessTokens: true, selfSignedTlsClientAuth: true, getCertificate: presented,
    },
    resourceIndicators: { enabled: true, getResourceServerInfo: () => resourceServer },
  },
});
provider.registerGrantType(GRANT, async (ctx) => {
  const { client, params, provider: { ClientCredentials, ResourceServer } } = ctx.oidc;
  const certificate = presented(ctx);
  const sub = await subject(params, certificate);
  const token = new ClientCredentials({ client, scope: 'read' });
  token.extra = { sub, act: { sub: client.clientId } };
  token.resourceServer = new ResourceServer(params.resource, resourceServer);
  token.setThumbprint('x5t', certificate);
  ctx.body = {
    access_token: await token.save(), issued_token_type: JWT, token_type: 'N_A', expires_in: token.expiration,
  };
}, ['subject_token', 'subject_token_type', 'requested_token_type', 'resource'], []);
provider.on('server_error', (ctx, error) => console.error('server_error', error));
provider.on('grant.error', (ctx, error) => console.error('grant.error', error.error, error.error_description));

https.createServer({
  key: readFileSync(job.key), cert: readFileSync(job.certificate), requestCert: true, rejectUnauthorized: false,
  minVersion: 'TLSv1.3', keepAliveTimeout: 60000, noDelay: true,
}, provider.callback()).listen(job.port, '127.0.0.1', () => console.log('ready'));
