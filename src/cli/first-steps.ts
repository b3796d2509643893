import type { Settings } from '../contracts/settings.ts';

/** What a running gateway tells of itself. */
export interface Running {
  readonly settings: Settings;
  readonly gatewayUrl: string;
  readonly adminUrl: string;
}

/** A first call with the embedded realm's first user, as lines to paste; null where none would work. */
export function firstSteps({ settings, gatewayUrl, adminUrl }: Running): string | null {
  const { embeddedRealm, example, routes, realms } = settings;
  const user = embeddedRealm?.users[0];
  const realm = realms.find(({ name }) => name === embeddedRealm?.name);
  const endpoint =
    example?.endpoint ??
    routes.find((route) => route.realm === realm?.name && route.endpoint !== null)?.endpoint;
  if (user === undefined || realm === undefined || endpoint === undefined || endpoint === null) return null;
  const { endpoints, grants } = realm.passthrough;
  if (!endpoints.includes('token') || !grants.includes('password')) return null;

  // Its certificate is this machine's own business: the embedded realm is for development only.
  const curl = settings.gateway.tls === null ? 'curl' : 'curl -k';
  const form = Object.entries({
    grant_type: 'password',
    client_id: realm.clients?.[0] ?? 'istio',
    username: user.username,
    password: user.password,
  }).map(([name, value]) => `--data-urlencode ${quoted(`${name}=${value}`)}`);
  const token = `${gatewayUrl}/auth/realms/${encodeURIComponent(realm.name)}/protocol/openid-connect/token`;
  const service = quoted(gatewayUrl + endpoint);
  return `
Realmgate is ready: the gateway is ${gatewayUrl}, the admin listener ${adminUrl}.
${example === null ? '' : `The service behind ${endpoint} runs from a git repository that was made of ${example.directory}.\n`}
Get a token, then call the service with it and without it:

  TOKEN=$(${curl} -s ${form.join(' ')} ${quoted(token)} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  ${curl} -i -H "Authorization: Bearer $TOKEN" ${service}
  ${curl} -i ${service}

`;
}

/** As one word of a POSIX shell. */
function quoted(text: string): string {
  return /^[\w=.:/@%-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
