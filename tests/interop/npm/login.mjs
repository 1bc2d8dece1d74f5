// openid-client: redeems an authorization code that somebody got in a browser, and proves the ID token.
import * as client from 'openid-client';
import { answer, connected } from './peer.mjs';

await answer(async (job) => {
  const options = { [client.customFetch]: connected(job) };
  const config = await client.discovery(new URL(job.issuer), job.client, undefined, client.None(), options);
  const checks = { pkceCodeVerifier: job.verifier, expectedState: job.state, idTokenExpected: true };
  const parameters = job.resource ? { resource: job.resource } : undefined;
  return client.authorizationCodeGrant(config, new URL(job.callback), checks, parameters);
});
