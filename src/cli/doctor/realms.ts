import type { PublicJwk } from '../../contracts/snapshot.ts';
import type { RealmSettings, Settings } from '../../contracts/settings.ts';
import { discover } from '../../realm/discovery.ts';
import { reasonOf } from '../../realm/fault.ts';
import { createRealmHttp, jsonOf, type RealmHttp } from '../../realm/http.ts';
import { usableKeys } from '../../realm/jwks.ts';
import { authorityOf } from '../../contracts/listen-url.ts';
import { type Check, count, fault, type Finding, ok, type Patient, warning } from './check.ts';

/** Seconds between two clocks that need no word: the header has whole ones, and its way takes time. */
const EXACT = 3;

export function realmChecks({ settings, running }: Patient): Check[] {
  const { realms, gateway } = settings;
  return realms.map((realm) => ({
    name: `realm ${realm.name}`,
    run: (signal) => {
      const embedded = isEmbedded(realm, settings);
      if (embedded && running === null) return ok('it is the embedded one, which runs with serve');
      // The embedded realm has one issuer, whatever it is asked as.
      return examine(realm, embedded ? null : gateway.publicUrl, signal);
    },
  }));
}

function isEmbedded({ url }: RealmSettings, { embeddedRealm }: Settings): boolean {
  return embeddedRealm !== null && new URL(url).host === authorityOf(embeddedRealm.listen);
}

async function examine(
  realm: RealmSettings,
  publicUrl: string | null,
  signal: AbortSignal,
): Promise<Finding[]> {
  const dates: string[] = [];
  const http = noting(createRealmHttp(publicUrl, false), dates);
  const patience = AbortSignal.any([signal, AbortSignal.timeout(realm.jwks.timeout)]);
  try {
    const { issuer, jwksUri } = await discover(realm, http, patience);
    const findings = [ok(`answers at ${realm.url}`), ...issuerFindings(issuer!, realm, publicUrl)];
    findings.push(await keyFinding(realm, jwksUri, http, patience));
    const [date] = dates;
    if (date !== undefined) findings.push(clockFinding(Date.parse(date), Date.now(), realm.clockSkew));
    return findings;
  } catch (error) {
    return [
      fault(
        `its discovery document cannot be had from ${realm.url}: ${reasonOf(error)}`,
        'is the realm up, and is realms.url right, with /auth where Keycloak has it?',
      ),
    ];
  } finally {
    http.close();
  }
}

/** Keeps the `Date` of every answer. */
function noting(http: RealmHttp, dates: string[]): RealmHttp {
  return {
    request: async (url, request) => {
      const answer = await http.request(url, request);
      if (answer.date !== null) dates.push(answer.date);
      return answer;
    },
    close: () => http.close(),
  };
}

/** The document was asked for as clients at `publicUrl` would: tokens from there have the issuer that it names. */
function issuerFindings(issuer: string, realm: RealmSettings, publicUrl: string | null): Finding[] {
  const { issuers } = realm;
  if (issuers !== null && !issuers.includes(issuer)) {
    const found = `it issues tokens as ${issuer}, which is not among realms.issuers`;
    const todo = `add ${issuer} to realms.issuers, or leave issuers out; else its tokens are refused`;
    // Without a public URL nobody knows by which address clients reach the realm.
    return [publicUrl === null ? warning(found, `${todo}, unless clients get them by another address`) : fault(found, todo)];
  }
  const { origin } = new URL(issuer);
  if (publicUrl !== null && origin !== publicUrl && origin === new URL(realm.url).origin) {
    return [
      warning(
        `it issues tokens as ${issuer} although it was asked as ${publicUrl}`,
        'have Keycloak heed X-Forwarded-* (KC_PROXY_HEADERS=xforwarded) or tell it its public name (KC_HOSTNAME)',
      ),
    ];
  }
  return [ok(`tokens carry the issuer ${issuer}`)];
} // prettier-ignore

async function keyFinding(
  { algorithms }: RealmSettings,
  uri: string,
  http: RealmHttp,
  signal: AbortSignal,
): Promise<Finding> {
  try {
    const answer = await http.request(uri, {
      method: 'GET',
      headers: { accept: 'application/json' },
      body: null,
      signal,
    });
    const { keys, skipped } = usableKeys(await jsonOf(answer, 'key set'));
    if (keys.length === 0)
      return fault(`its key set has no usable key (${skipped.join(', ') || 'it is empty'})`, 'give the realm a signing key');
    const fitting = keys.filter(({ alg }) => alg === undefined || algorithms.includes(alg));
    if (fitting.length === 0)
      return fault('none of its keys is for an algorithm of realms.algorithms', `add one of ${algorithmsOf(keys)}`);
    return ok(`${count(fitting.length, 'usable key')} (${algorithmsOf(fitting)})`);
  } catch (error) {
    return fault(`its keys cannot be had from ${uri}: ${reasonOf(error)}`, 'does realms.url lead to the realm itself?');
  }
} // prettier-ignore

function algorithmsOf(keys: readonly PublicJwk[]): string {
  return [...new Set(keys.map(({ alg, kty }) => alg ?? `any of ${kty}`))].join(', ');
}

/** Times in milliseconds. */
function clockFinding(theirs: number, ours: number, skew: number): Finding {
  const seconds = Math.round((theirs - ours) / 1000);
  const apart = Math.abs(seconds);
  if (Number.isNaN(seconds) || apart <= EXACT) return ok('its clock agrees with this one');
  const found = `its clock is ${apart} s ${seconds > 0 ? 'ahead of' : 'behind'} this one`;
  const todo = 'set both clocks (NTP), or raise realms.clockSkew';
  return apart * 1000 > skew
    ? fault(`${found}, more than realms.clockSkew bears`, todo)
    : warning(found, todo);
}
