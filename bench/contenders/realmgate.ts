import { readFileSync } from 'node:fs';
import { freePort } from '../../test/support/free-port.ts';
import { CORES } from '../support/cores.ts';
import { startRealmgate } from '../support/realmgate.ts';
import { ALGORITHMS } from '../support/tokens.ts';
import type { Contender, Running, Work } from './contender.ts';

export interface RealmgateVariant {
  /** Behind `realmgate`. */
  readonly suffix?: string;
  readonly description: string;
  readonly accessLog?: boolean;
  /** How many it has; the one that is called is among them. */
  readonly routes?: number;
  /** Two have the second one's core, too. */
  readonly workers?: 1 | 2;
}

/** The real program. Everything is on that it does by default, the access log as told. */
export function realmgate(variant: RealmgateVariant): Contender {
  const { suffix = '', description, workers = 1 } = variant;
  const name = `realmgate${suffix}`;
  return {
    name,
    description: `Realmgate, ${description}`,
    checksTokens: true,
    algorithms: ALGORITHMS,
    find: () => (CORES >= workers ? { version: version() } : { missing: `it takes ${workers} cores` }),
    start: (work) => start(name, variant, work),
  };
}

/** Of two workers: one that nobody else has, where there are four. */
const SECOND_CORE = CORES < 4 ? 1 : 2;

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return `${(JSON.parse(text) as { version: string }).version} on Node ${process.versions.node}`;
}

/** What stands in its file. */
export function realmgateConfig(
  { accessLog = false, routes = 1, workers = 1 }: RealmgateVariant,
  work: Work,
) {
  const { upstream, issuer, realmUrl } = work;
  return {
    gateway: {
      workers,
      accessLog,
      // The case idle holds the default, and then some.
      limits: { connections: 20_000 },
      timeouts: { drain: '0s' },
    },
    realms: [{ name: 'bench', url: realmUrl, issuers: [issuer], clients: ['istio'] }],
    routes: [
      { name: 'api', endpoint: '/api', upstream: [upstream] },
      ...Array.from({ length: routes - 1 }, (_, i) => ({
        name: `route-${i}`,
        endpoint: `/more/${i}`,
        upstream: [upstream],
      })),
    ],
  };
}

async function start(name: string, variant: RealmgateVariant, work: Work): Promise<Running> {
  const { workspace, core, inspect } = work;
  const inspectorPort = inspect ? await freePort() : null;
  const running = await startRealmgate(workspace, name, {
    core: core === null || (variant.workers ?? 1) === 1 ? core : `${core},${SECOND_CORE}`,
    nodeOptions: inspectorPort === null ? [] : [`--inspect-port=${inspectorPort}`],
    config: realmgateConfig(variant, work),
  });
  return {
    port: Number(new URL(running.gatewayUrl).port),
    workers: running.workers(),
    others: [running.program.pid],
    adminUrl: running.adminUrl,
    inspectorPort,
    stop: () => running.program.stop(),
  };
}
