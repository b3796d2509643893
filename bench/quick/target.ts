import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { startRealmgate } from '../support/realmgate.ts';
import { untilAccepting, type Workspace } from '../support/workspace.ts';

/** Where `npm start` listens, and whom its realm knows. */
export const LOCAL = 'http://127.0.0.1:8080';
const USER = { client_id: 'istio', username: 'alice', password: 'alice' };

/** What the load goes to. */
export interface Target {
  readonly url: string;
  /** For people. */
  readonly description: string;
  /** A bearer token with its life in seconds from now; null = none is sent. Asked again before that life is over. */
  readonly token: () => Promise<{ readonly value: string; readonly life: number } | null>;
}

/** A token that is there already, or none. */
export function givenTarget(url: string, token: string | null): Target {
  const value = token === null ? null : { value: token, life: Infinity };
  return { url, description: readable(url), token: () => Promise.resolve(value) };
}

/** Without what follows the path, which may be somebody's secret. */
function readable(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/**
 * The gateway that `npm start` runs; null = nothing like it answers there. Rejects when it answers, but not to this
 * user: then only its owner can say what to send.
 */
export async function localTarget(gateway = LOCAL): Promise<Target | null> {
  const url = `${gateway}/hello`;
  if (!(await isRealmgate(url))) return null;
  const token = (): Promise<{ value: string; life: number }> => signIn(gateway);
  await token().catch((error: unknown) => {
    const why = error instanceof Error ? error.message : 'it gives no token';
    throw new Error(`${gateway} answers, but not as npm start sets it up (${why}): give --url and a token`);
  });
  return { url, description: `the running gateway, ${url}`, token };
}

async function isRealmgate(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(2_000) });
    const { code } = (await response.json()) as { code?: unknown };
    return response.status === 401 && code === 'token_missing';
  } catch {
    return false;
  }
}

/** A gateway of the bench's own with the default settings, the embedded realm and a service that answers 300 bytes. */
export async function ownTarget(workspace: Workspace): Promise<Target> {
  const [realmPort, servicePort] = [await freePort(), await freePort()];
  const server = fileURLToPath(new URL('../support/upstream-server.ts', import.meta.url));
  const service = await workspace.start(process.execPath, [server, String(servicePort)]);
  const realmgate = await startRealmgate(workspace, 'realmgate', {
    config: {
      embeddedRealm: {
        listen: `127.0.0.1:${realmPort}`,
        name: 'demo',
        users: [{ username: USER.username, password: USER.password, roles: [] }],
      },
      realms: [
        { name: 'demo', url: `http://127.0.0.1:${realmPort}/auth/realms/demo`, clients: [USER.client_id] },
      ],
      routes: [{ name: 'hello', endpoint: '/hello', upstream: [`http://127.0.0.1:${servicePort}`] }],
    },
  });
  await untilAccepting(servicePort, service);
  return {
    url: `${realmgate.gatewayUrl}/hello`,
    description: 'a gateway of its own, started for this with the default settings',
    token: () => signIn(realmgate.gatewayUrl),
  };
}

/** The password grant, through the gateway. */
async function signIn(gateway: string): Promise<{ value: string; life: number }> {
  const response = await fetch(`${gateway}/auth/realms/demo/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'password', ...USER }),
    redirect: 'manual',
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`its token endpoint answers ${response.status}`);
  const { access_token, expires_in } = (await response.json()) as Record<string, unknown>;
  if (typeof access_token !== 'string' || typeof expires_in !== 'number') {
    throw new Error('its token endpoint gives no token');
  }
  return { value: access_token, life: expires_in };
}
