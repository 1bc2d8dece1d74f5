// oidc-provider as the OpenID Provider of a domain. It lets everybody in whatever the password; whom a token is about
// is what was typed as the login. A client's name says how its access tokens are signed.
// argv[2] is a JSON file: issuer, api, port, certificate, key, algorithms.
import { readFileSync } from 'node:fs';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import https from 'node:https';
import Provider from 'oidc-provider';

const { issuer, api, port, certificate, key, algorithms } = JSON.parse(readFileSync(process.argv[2]));

function made(alg) {
  const [type, options] = { ES256: ['ec', { namedCurve: 'P-256' }], EdDSA: ['ed25519', {}] }[alg]
    ?? ['rsa', { modulusLength: 2048 }];
  return { ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() };
}

function registered(name) {
  return {
    client_id: name, application_type: 'native', token_endpoint_auth_method: 'none',
    redirect_uris: [`${issuer}/rrs/code`], grant_types: ['authorization_code', 'refresh_token'],
    id_token_signed_response_alg: 'ES256',
  };
}

function format(client) {
  if (client.clientId === 'opaque') return { accessTokenFormat: 'opaque' };
  const alg = algorithms.includes(client.clientId) ? client.clientId : 'ES256';
  return { accessTokenFormat: 'jwt', jwt: { sign: { alg } } };
}

const provider = new Provider(issuer, {
  jwks: { keys: algorithms.map(made) },
  clients: ['rrsctl', 'opaque', ...algorithms].map(registered),
  cookies: { keys: [randomUUID()] },
  scopes: ['openid', 'offline_access', 'mail'],
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  issueRefreshToken: () => true,
  features: {
    resourceIndicators: {
      enabled: true,
      defaultResource: () => api,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource, client) => (
        { scope: 'mail', audience: resource, accessTokenTTL: 600, ...format(client) }),
    },
  },
});
provider.on('server_error', (ctx, error) => console.error('server_error', error));
https.createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, provider.callback())
  .listen(port, '127.0.0.1', () => console.log('ready'));
