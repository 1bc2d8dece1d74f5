// openid-client asks about a token (RFC 7662, or RFC 9701 when the job says `signed`) or ends it (RFC 7009).
// A signed answer is proved with the issuer's keys, and handed on as it came.
import * as client from 'openid-client';
import { answer, connected } from './peer.mjs';

const JWT = 'application/token-introspection+jwt';

await answer(async (job) => {
  const fetch = connected(job);
  let jwt;
  const options = {
    async [client.customFetch](url, given) {
      const response = await fetch(url, given);
      if (response.headers.get('content-type') === JWT) jwt = await response.clone().text();
      return response;
    },
  };
  const metadata = job.signed ? { introspection_signed_response_alg: job.alg ?? 'ES256' } : undefined;
  const method = job.cert ? client.TlsClientAuth() : client.None();
  const config = await client.discovery(new URL(job.issuer), job.client, metadata, method, options);
  client.enableNonRepudiationChecks(config);
  if (job.revoke) {
    await client.tokenRevocation(config, job.token);
    return { revoked: true };
  }
  return { said: await client.tokenIntrospection(config, job.token), jwt };
});
