import { once } from 'node:events';
import { createServer } from 'node:net';
import { bindError } from '../../app/start-up-error.ts';
import { authorityOf } from '../../contracts/listen-url.ts';
import type { ListenAddress, Settings } from '../../contracts/settings.ts';
import { type Check, fault, type Finding, ok, type Patient, type Running, warning } from './check.ts';

/** Milliseconds until an admin listener that says nothing counts as none. */
const PATIENCE = 3_000;

/** Asks the admin listener of the configuration whether a Realmgate answers there. null = none does. */
export async function findRunning({ admin }: Settings): Promise<Running | null> {
  if (admin.listen.port === 0) return null;
  const ask = async (path: string) => {
    const signal = AbortSignal.timeout(PATIENCE);
    const response = await fetch(`http://${reachable(admin.listen)}${path}`, { signal, redirect: 'manual' });
    return { status: response.status, body: (await response.text()).slice(0, 4096) };
  };
  try {
    const health = await ask('/healthz');
    if (health.status !== 200 || health.body !== 'ok\n') return null;
    const ready = await ask('/readyz');
    return { problems: ready.status === 200 ? [] : [detailOf(ready.body)] };
  } catch {
    return null;
  }
}

export function listenerChecks({ settings, running }: Patient): Check[] {
  const { gateway, admin, embeddedRealm } = settings;
  const listeners: readonly (readonly [name: string, what: string, address: ListenAddress])[] = [
    ['gateway.listen', 'gateway', gateway.listen],
    ['admin.listen', 'admin listener', admin.listen],
    ...(embeddedRealm === null
      ? []
      : [['embeddedRealm.listen', 'embedded realm', embeddedRealm.listen] as const]),
  ];
  return [
    { name: 'serve', run: () => readiness(running) },
    ...listeners.map(([name, what, address]): Check => ({
      name,
      run: () => listener(what, address, running),
    })),
  ];
}

function readiness(running: Running | null): Finding {
  if (running === null) return ok('does not run with this configuration');
  const { problems } = running;
  if (problems.length === 0) return ok('runs and is ready (/readyz)');
  return fault(
    `runs and is not ready (/readyz): ${problems.join('; ')}`,
    'see the checks below and the log of serve',
  );
}

/** Binds it and lets it go again. */
async function listener(what: string, address: ListenAddress, running: Running | null): Promise<Finding> {
  const authority = authorityOf(address);
  const error = await bind(address);
  if (error === null) {
    if (running === null) return ok(address.port === 0 ? 'any free port' : `${authority} is free`);
    return address.port === 0
      ? ok('a port that serve was given')
      : warning(
          `${authority} is free, although serve runs`,
          'restart serve: its configuration was another when it started',
        );
  }
  if (error.code === 'EADDRINUSE' && running !== null)
    return ok(`${authority} is used by the serve that runs`);
  const { message } = bindError(what, authority, error);
  const [found = message, todo] = message.split('; ');
  return fault(found, todo ?? 'set another address');
}

async function bind({ host, port }: ListenAddress): Promise<NodeJS.ErrnoException | null> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    return null;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  } finally {
    server.close();
  }
}

/** An address that means every one of this machine is reached by its own. */
function reachable({ host, port }: ListenAddress): string {
  const own = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return authorityOf({ host: own, port });
}

function detailOf(body: string): string {
  try {
    const { detail } = JSON.parse(body) as { detail?: unknown };
    return typeof detail === 'string' ? detail : 'it does not say why';
  } catch {
    return 'it does not say why';
  }
}
