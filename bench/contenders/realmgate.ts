import { readFileSync } from 'node:fs';
import { freePort } from '../../test/support/free-port.ts';
import { startRealmgate } from '../support/realmgate.ts';
import { ALGORITHMS } from '../support/tokens.ts';
import type { Contender, Running, Work } from './contender.ts';

/** The real program with one worker. Everything is on that it does by default, the access log as told. */
export function realmgate(accessLog: boolean): Contender {
  const name = accessLog ? 'realmgate-log' : 'realmgate';
  return {
    name,
    description: accessLog ? 'Realmgate, access log on' : 'Realmgate, access log off',
    checksTokens: true,
    algorithms: ALGORITHMS,
    find: () => ({ version: version() }),
    start: (work) => start(name, accessLog, work),
  };
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return `${(JSON.parse(text) as { version: string }).version} on Node ${process.versions.node}`;
}

async function start(name: string, accessLog: boolean, work: Work): Promise<Running> {
  const { workspace, core, upstream, issuer, realmUrl, inspect } = work;
  const inspectorPort = inspect ? await freePort() : null;
  const running = await startRealmgate(workspace, name, {
    core,
    nodeOptions: inspectorPort === null ? [] : [`--inspect-port=${inspectorPort}`],
    config: {
      gateway: { workers: 1, accessLog, timeouts: { drain: '0s' } },
      realms: [{ name: 'bench', url: realmUrl, issuers: [issuer], clients: ['istio'] }],
      routes: [{ name: 'api', endpoint: '/api', upstream: [upstream] }],
    },
  });
  return {
    port: Number(new URL(running.gatewayUrl).port),
    workers: running.workers(),
    others: [running.program.pid],
    inspectorPort,
    stop: () => running.program.stop(),
  };
}
