import { once } from 'node:events';
import { connect } from 'node:net';
import type { Route, Settings } from '../../contracts/settings.ts';
import { type Check, fault, type Finding, ok, warning } from './check.ts';

/** Connects to every address of every static route, and says nothing there. */
export function upstreamChecks({ routes, gateway }: Settings): Check[] {
  return routes.map((route) => ({
    name: `route ${route.name}`,
    run: (signal) =>
      upstreams(route, AbortSignal.any([signal, AbortSignal.timeout(gateway.timeouts.connect)])),
  }));
}

async function upstreams({ upstream }: Route, signal: AbortSignal): Promise<Finding> {
  const tried = await Promise.all(
    upstream.map(async (origin) => ({ origin, error: await attempt(origin, signal) })),
  );
  const failed = tried.filter(({ error }) => error !== null);
  if (failed.length === 0) return ok(`${upstream.join(', ')} accepts connections`);
  const found = failed.map(({ origin, error }) => `${origin} accepts no connection (${error})`).join(', ');
  const todo = 'start the service, or correct upstream: requests to it are answered 502';
  return failed.length === tried.length ? fault(found, todo) : warning(found, todo);
}

async function attempt(origin: string, signal: AbortSignal): Promise<string | null> {
  const { protocol, hostname, port } = new URL(origin);
  const socket = connect({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || (protocol === 'https:' ? 443 : 80)),
  });
  try {
    await once(socket, 'connect', { signal });
    return null;
  } catch (error) {
    return signal.aborted ? 'no answer in time' : ((error as NodeJS.ErrnoException).code ?? 'unknown error');
  } finally {
    socket.on('error', () => undefined).destroy();
  }
}
