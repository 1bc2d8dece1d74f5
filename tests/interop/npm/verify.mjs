// jose: proves tokens, with the key set that an issuer publishes or with the key of a certificate.
import { createRemoteJWKSet, customFetch, importX509, jwtVerify } from 'jose';
import { answer, connected } from './peer.mjs';

await answer(async (job) => {
  const fetch = connected(job);
  const answers = [];
  for (const { token, certificate, jwks, ...wanted } of job.tokens) {
    const key = certificate
      ? await importX509(certificate, 'ES256')
      : createRemoteJWKSet(new URL(jwks), { [customFetch]: fetch });
    try {
      const { payload, protectedHeader } = await jwtVerify(token, key, { algorithms: ['ES256'], ...wanted });
      answers.push({ claims: payload, header: protectedHeader });
    } catch (error) {
      answers.push({ refused: error.code ?? error.message });
    }
  }
  return answers;
});
