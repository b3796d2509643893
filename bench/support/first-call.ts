import { fileURLToPath } from 'node:url';
import { freePort, portRange } from '../../test/support/free-port.ts';
import { type Realmgate, startRealmgate } from './realmgate.ts';
import type { Workspace } from './workspace.ts';

const EXAMPLE = fileURLToPath(new URL('../../config/examples/hello', import.meta.url));

const USER = { username: 'alice', password: 'alice' };

/** What `npm start` runs, with one worker, on ports that are free and in a data folder of its own. */
export async function startLikeNpmStart(workspace: Workspace, name: string): Promise<Realmgate> {
  const realm = await freePort();
  return startRealmgate(workspace, name, {
    config: {
      gateway: { listen: '127.0.0.1:0', workers: 1 },
      admin: { listen: '127.0.0.1:0', realm: 'demo' },
      embeddedRealm: { listen: `127.0.0.1:${realm}`, name: 'demo', users: [{ ...USER, roles: [] }] },
      services: { local: { portRange: await portRange() } },
      example: { directory: EXAMPLE },
    },
  });
}

/** Signs in with the password grant and calls the service. Throws unless that answers 200. */
export async function firstCall({ gatewayUrl }: Realmgate): Promise<void> {
  const answer = await fetch(`${gatewayUrl}/auth/realms/demo/protocol/openid-connect/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'password', client_id: 'istio', ...USER }),
  });
  const { access_token: token } = (await answer.json()) as { access_token: string };
  const service = await fetch(`${gatewayUrl}/hello`, { headers: { authorization: `Bearer ${token}` } });
  await service.arrayBuffer();
  if (service.status !== 200) throw new Error(`the service answered ${service.status}`);
}
