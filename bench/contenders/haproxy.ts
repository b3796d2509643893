import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../test/support/free-port.ts';
import { findProgram, versionOf } from '../support/find-program.ts';
import { untilAccepting } from '../support/workspace.ts';
import type { Contender, Running, Work } from './contender.ts';

/** `jwt_verify` with the checks of its manual's example: algorithm, issuer, expiry, then the signature. No cache. */
export const haproxy: Contender = {
  name: 'haproxy',
  description: 'HAProxy jwt_verify',
  checksTokens: true,
  algorithms: ['RS256', 'ES256'],
  find: () => {
    const program = findProgram('haproxy');
    if (program === null) return { missing: 'install the package haproxy (2.5 or newer) of your system' };
    return { version: versionOf(program, '-v') ?? 'of unknown version' };
  },
  start,
};

async function start({ workspace, core, upstream, issuer, jwk, pem }: Work): Promise<Running> {
  const folder = join(workspace.folder, 'haproxy');
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const key = join(folder, 'key.pem');
  const config = join(folder, 'haproxy.cfg');
  await writeFile(key, pem);
  await writeFile(
    config,
    `
global
  nbthread 1
  maxconn 12000
  # It would want two open files for each of them.
  no strict-limits

defaults
  mode http
  timeout client 600s
  timeout server 60s
  timeout connect 5s
  timeout http-keep-alive 600s
  timeout tunnel 600s

frontend gateway
  bind 127.0.0.1:${port} backlog 1024
  http-request deny deny_status 401 unless { req.hdr(authorization) -m found }
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str ${jwk.alg ?? ''} }
  http-request deny deny_status 401 unless { var(txn.iss) -m str ${issuer} }
  http-request deny deny_status 401 unless { var(txn.exp),sub(txn.now) -m int gt 0 }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"${key}") -m int 1 }
  http-request del-header authorization
  http-request replace-path /api/(.*) /\\1
  default_backend service

backend service
  http-reuse always
  server one ${new URL(upstream).host} pool-max-conn -1
`,
  );
  const program = await workspace.start(findProgram('haproxy')!, ['-db', '-f', config], { core });
  await untilAccepting(port, program);
  return {
    port,
    workers: [program.pid],
    others: [],
    inspectorPort: null,
    stop: () => program.stop('SIGINT'),
  };
}
