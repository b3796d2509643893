import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { ALGORITHMS } from '../support/tokens.ts';
import { untilAccepting } from '../support/workspace.ts';
import type { Contender, Running, Work } from './contender.ts';

/** A proxy package and the program of the bench's that puts it behind a check of tokens. */
export interface NodeProxy {
  readonly package: string;
  /** In `bench/support`. It takes the arguments that `start` gives. */
  readonly program: string;
}

/** What Node programmers build themselves: a proxy package, jose and lru-cache. */
export function nodeProxy(proxy: NodeProxy): Contender {
  return {
    name: proxy.package,
    description: `${proxy.package} with jose and lru-cache`,
    checksTokens: true,
    algorithms: ALGORITHMS,
    find: () => {
      const version = installedVersion(proxy.package);
      return version === null ? { missing: 'run npm ci' } : { version };
    },
    start: (work) => start(proxy, work),
  };
}

/** Null = it is not installed. Not every package lets its package.json be imported. */
function installedVersion(name: string): string | null {
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    const folder = entry.slice(0, entry.lastIndexOf(`/${name}/`) + name.length + 2);
    return (JSON.parse(readFileSync(`${folder}package.json`, 'utf8')) as { version: string }).version;
  } catch {
    return null;
  }
}

async function start(proxy: NodeProxy, work: Work): Promise<Running> {
  const { workspace, core, upstream, issuer, jwk, tokens } = work;
  const port = await freePort();
  const program = fileURLToPath(new URL(`../support/${proxy.program}`, import.meta.url));
  const args = [program, proxy.package, String(port), upstream, issuer, String(tokens), JSON.stringify(jwk)];
  const running = await workspace.start(process.execPath, args, { core });
  await untilAccepting(port, running);
  return { port, workers: [running.pid], others: [], inspectorPort: null, stop: () => running.stop() };
}
