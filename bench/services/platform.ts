import { portRange } from '../../test/support/free-port.ts';
import { publishRealm } from '../support/realm.ts';
import { type Realmgate, startRealmgate } from '../support/realmgate.ts';
import { keycloakClaims, newSigningKey, sign } from '../support/tokens.ts';
import type { Workspace } from '../support/workspace.ts';
import { AdminClient } from './admin-client.ts';

const ISSUER = 'http://realm.bench/auth/realms/bench';
const ADMIN_ROLE = 'realmgate-admin';

export interface Platform {
  readonly realmgate: Realmgate;
  readonly admin: AdminClient;
  /** Of a user of the services, good for a day. */
  readonly token: string;
  /** Ends it with all of its services. Rejects unless it ends well. */
  stop(): Promise<void>;
}

export interface PlatformOptions {
  /** Names its data directory: a second platform of that name goes on where the first one ended. */
  readonly name: string;
  /** How many ports its services may need. */
  readonly ports: number;
  readonly workers: number;
  /** Takes every line of the log. */
  readonly onLog?: (line: string) => void;
}

/** Starts the whole program with the local driver and a realm of the bench. */
export async function startPlatform(
  workspace: Workspace,
  { name, ports, workers, onLog }: PlatformOptions,
): Promise<Platform> {
  const key = await newSigningKey('RS256');
  const realm = await publishRealm({ port: 0, issuer: ISSUER, keys: () => [key.jwk] });
  const claims = keycloakClaims(ISSUER, 1);
  const [user, administrator] = await Promise.all([
    sign(key, claims),
    sign(key, { ...claims, realm_access: { roles: [ADMIN_ROLE] } }),
  ]);
  const realmgate = await startRealmgate(workspace, name, {
    config: {
      // This side's request ids are to be kept: they tell which request a line of the access log is about.
      gateway: { listen: '127.0.0.1:0', workers, trustedProxies: ['127.0.0.0/8'] },
      admin: { listen: '127.0.0.1:0', realm: 'bench', roles: { admin: ADMIN_ROLE } },
      realms: [{ name: 'bench', url: realm.url, issuers: [ISSUER] }],
      services: { local: { portRange: await portRange(ports) } },
    },
    ...(onLog === undefined ? {} : { onLog }),
  });
  return {
    realmgate,
    admin: new AdminClient(realmgate.adminUrl, administrator),
    token: user,
    stop: async () => {
      const code = await realmgate.stop();
      await realm.close();
      if (code !== 0) throw new Error(`serve ended with ${String(code)} instead of 0 after SIGTERM`);
    },
  };
}
