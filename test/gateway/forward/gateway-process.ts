import { execFileSync, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { Snapshot } from '../../../src/contracts/snapshot.ts';
import { WORKER_FLAGS } from '../../../src/control/worker-process.ts';
import { gatewaySettings, realmSnapshot, route } from '../../support/gateway.ts';

const PROGRAM = fileURLToPath(new URL('gateway-program.ts', import.meta.url));

/** A gateway in a process of its own, with one public route to `origin`, so that its memory can be measured. */
export async function startGatewayProcess(origin: string): Promise<{ port: number; memory(): number }> {
  const child = fork(PROGRAM, { execArgv: [...WORKER_FLAGS] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const snapshot: Snapshot = {
    gateway: gatewaySettings(),
    routes: [route({ endpoint: '/', public: true, upstream: [origin] })],
    services: [],
    realms: [realmSnapshot()],
    unhealthy: [],
  };
  child.send(snapshot);
  const port = await new Promise<number>((resolve) => child.once('message', resolve));
  return {
    port,
    /** Resident bytes. */
    memory: () =>
      1024 * Number(execFileSync('ps', ['-o', 'rss=', '-p', String(child.pid)], { encoding: 'utf8' })),
  };
}
