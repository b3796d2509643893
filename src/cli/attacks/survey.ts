import { Failure } from '../failure.ts';
import { networkFailure } from '../network-failure.ts';
import { hostHeader, type RealmFacts, type Site, usualHeaders } from './attack.ts';
import { type Answer, headerOf, objectOf } from './read-answers.ts';
import { type Place, send } from './send.ts';

/** Where Keycloak and Realmgate have a realm, when nobody says how it is called. */
const USUAL_REALM = 'demo';

/**
 * Learns by ordinary requests what the attacks need to know. Throws `Failure` when the gateway does not answer, or
 * refuses the token: then nothing could be judged.
 */
export async function survey(
  place: Place,
  { authority, path, token }: Pick<Site, 'authority' | 'path' | 'token'>,
): Promise<Site> {
  const unknown = { name: USUAL_REALM, issuer: '', keys: [], published: false };
  const site: Site = { authority, path, token, realm: unknown };
  const bare = await get(place, site, path, hostHeader(site));
  const challenge = headerOf(bare, 'www-authenticate');
  const name = /\brealm="([A-Za-z0-9._-]+)"/.exec(challenge ?? '')?.[1] ?? USUAL_REALM;
  if (token !== null) await checkToken(place, site);
  return { ...site, realm: await realmFacts(place, site, name) };
}

async function checkToken(place: Place, site: Site): Promise<void> {
  const answer = await get(place, site, site.path, usualHeaders(site));
  const { status } = answer;
  const nowhere = objectOf(answer)?.['code'] === 'no_such_service';
  if (![400, 401, 403, 431].includes(status) && !nowhere) return;
  throw new Failure(
    `with the token, ${site.path} answers ${status}: nothing could be told from what else is refused`,
    'Give the --path of a service, a token that may call it, or no token at all (--no-token).',
  );
}

async function realmFacts(place: Place, site: Site, name: string): Promise<RealmFacts> {
  const realm = `/auth/realms/${name}`;
  const host = hostHeader(site);
  const document = await get(place, site, `${realm}/.well-known/openid-configuration`, host);
  const issuer = document.status === 200 ? objectOf(document)?.['issuer'] : undefined;
  const set = await get(place, site, `${realm}/protocol/openid-connect/certs`, host);
  const keys = set.status === 200 ? objectOf(set)?.['keys'] : undefined;
  return {
    name,
    issuer: typeof issuer === 'string' ? issuer : `http://${site.authority}${realm}`,
    keys: Array.isArray(keys) ? keys.filter(isSigningKey) : [],
    published: typeof issuer === 'string',
  };
}

function isSigningKey(key: unknown): key is Readonly<Record<string, unknown>> {
  return typeof key === 'object' && key !== null && (key as { use?: unknown }).use !== 'enc';
}

async function get(place: Place, site: Site, target: string, headers: string): Promise<Answer> {
  const bytes = `GET ${target} HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`;
  const at = `${place.secure ? 'https' : 'http'}://${site.authority}`;
  try {
    const { answers, begun, noise } = await send(place, bytes);
    const answer = answers[0] ?? begun;
    if (answer !== null && !noise) return answer;
  } catch (error) {
    throw new Failure(`${at}: ${networkFailure(error, '--url') ?? 'the connection failed'}`);
  }
  throw new Failure(`${at} gives no HTTP answer to a plain GET of ${target}`);
}
