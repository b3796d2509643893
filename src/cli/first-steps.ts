import type { Settings } from '../contracts/settings.ts';

/** What a running gateway tells of itself. */
export interface Running {
  readonly settings: Settings;
  readonly gatewayUrl: string;
  readonly adminUrl: string;
}

/** A first call with the embedded realm's first user, as lines to paste; null without an embedded realm. */
export function firstSteps({ settings, gatewayUrl, adminUrl }: Running): string | null {
  const { embeddedRealm, routes, realms } = settings;
  const user = embeddedRealm?.users[0];
  const endpoint = routes.find((route) => route.endpoint !== null)?.endpoint;
  if (embeddedRealm === null || user === undefined || endpoint === undefined || endpoint === null)
    return null;
  const client = realms.find((realm) => realm.name === embeddedRealm.name)?.clients?.[0] ?? 'istio';
  const form = `-d grant_type=password -d client_id=${client} -d username=${user.username} -d password=${user.password}`;
  return `
Realmgate is ready: the gateway is ${gatewayUrl}, the admin listener ${adminUrl}.
${settings.example === null ? '' : `The service behind ${endpoint} is an example program that serve starts; services from git repositories come with the registry.\n`}
Get a token, then call the service with it and without it:

  TOKEN=$(curl -s ${form} ${gatewayUrl}/auth/realms/${embeddedRealm.name}/protocol/openid-connect/token | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  curl -i -H "Authorization: Bearer $TOKEN" ${gatewayUrl}${endpoint}
  curl -i ${gatewayUrl}${endpoint}

`;
}
