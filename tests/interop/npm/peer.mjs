// What the scripts of this folder share: one job as JSON on standard input, one JSON answer on standard output, and
// a fetch that finds the domains under test by a table, over mutual TLS when the job has a certificate.
import { text } from 'node:stream/consumers';
import { Agent, buildConnector, fetch } from 'undici';

export function connected({ hosts, ca, cert, key }) {
  const connect = buildConnector({ ca, cert, key });
  const dispatcher = new Agent({
    connect(options, callback) {
      const port = hosts[options.hostname];
      if (!port) throw new Error(`${options.hostname} is not in the table`);
      connect({ ...options, hostname: '127.0.0.1', port, servername: options.hostname }, callback);
    },
  });
  return (url, options) => fetch(url, { ...options, dispatcher });
}

// A library that refuses answers too: {"refused": why}.
export async function answer(work) {
  const job = JSON.parse(await text(process.stdin));
  let said;
  try {
    said = await work(job);
  } catch (error) {
    // openid-client shows a challenge (RFC 9110 11.6.1) before the error document of the same answer.
    const cause = error.cause?.error ?? error.cause?.message ?? error.cause?.[0]?.parameters?.error;
    said = { refused: [error.code, error.error, error.message, cause].filter(Boolean).join(': ') };
  }
  process.stdout.write(JSON.stringify(said));
  process.exit(0); // kept connections are not waited for
}
