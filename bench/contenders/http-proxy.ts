import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { ALGORITHMS } from '../support/tokens.ts';
import { untilAccepting } from '../support/workspace.ts';
import type { Contender, Running, Work } from './contender.ts';

const PROGRAM = fileURLToPath(new URL('../support/http-proxy-server.ts', import.meta.url));

/** What Node programmers build themselves: one of the two proxy packages, jose and lru-cache. */
export function httpProxy(name: 'http-proxy' | 'http-proxy-3'): Contender {
  return {
    name,
    description: `${name} with jose and lru-cache`,
    checksTokens: true,
    algorithms: ALGORITHMS,
    find: () => ({ version: version(name) }),
    start: (work) => start(name, work),
  };
}

function version(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  const folder = entry.slice(0, entry.lastIndexOf(`/${name}/`) + name.length + 2);
  return (JSON.parse(readFileSync(`${folder}package.json`, 'utf8')) as { version: string }).version;
}

async function start(name: string, work: Work): Promise<Running> {
  const { workspace, core, upstream, issuer, jwk, tokens } = work;
  const port = await freePort();
  const args = [PROGRAM, name, String(port), upstream, issuer, String(tokens), JSON.stringify(jwk)];
  const program = await workspace.start(process.execPath, args, { core });
  await untilAccepting(port, program);
  return { port, workers: [program.pid], others: [], inspectorPort: null, stop: () => program.stop() };
}
