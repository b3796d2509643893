import { isB64Token } from '../bearer.ts';
import { adminUrlFromEnvironment, tokenFromEnvironment } from '../config/environment.ts';
import { ApiClient } from './api-client.ts';
import { findPassword, readSecretFile } from './find-password.ts';
import { Failure } from './failure.ts';
import type { Flags, Values } from './flags.ts';
import { safeUrl } from './safe-url.ts';
import { DEFAULT_CLIENT, DEFAULT_REALM_URL, signIn } from './sign-in.ts';
import { type Io, UsageError } from './verb.ts';

const DEFAULT_ADMIN_URL = 'http://127.0.0.1:8081';

/** What every command over the admin API takes. */
export const CONNECTION_FLAGS = {
  'admin-url': {
    value: 'URL',
    help: `the admin API (default REALMGATE_ADMIN_URL, then ${DEFAULT_ADMIN_URL})`,
  },
  'token-file': { value: 'FILE', help: 'read the access token from a file (default REALMGATE_TOKEN)' },
  user: {
    value: 'NAME',
    help: 'or sign in as this user; the password comes from REALMGATE_PASSWORD or standard input',
  },
  'password-file': { value: 'FILE', help: 'or from a file' },
  'realm-url': { value: 'URL', help: `realm to sign in at (default ${DEFAULT_REALM_URL})` },
  'realm-client': { value: 'ID', help: `public client to sign in with (default ${DEFAULT_CLIENT})` },
  'insecure-http': { help: 'allow http:// to other hosts than this one: what is secret travels readable' },
} as const satisfies Flags;

export type ConnectionValues = Values<typeof CONNECTION_FLAGS>;

/** Finds or gets a token, and gives a client that sends it. Nothing but a sign-in connects anywhere yet. */
export async function connect(values: ConnectionValues, io: Io): Promise<ApiClient> {
  const insecure = values['insecure-http'] === true;
  const given = values['admin-url'];
  const url = safeUrl(given ?? adminUrlFromEnvironment() ?? DEFAULT_ADMIN_URL, {
    option: given === undefined ? 'REALMGATE_ADMIN_URL' : '--admin-url',
    of: 'the admin listener',
    example: DEFAULT_ADMIN_URL,
    carries: 'token',
    insecure,
  });
  return new ApiClient(url, checkToken(await findToken(values, insecure, io)));
}

async function findToken(values: ConnectionValues, insecure: boolean, io: Io): Promise<string> {
  const { user, 'token-file': file } = values;
  if (file !== undefined && user !== undefined) {
    throw new UsageError('--token-file and --user exclude each other');
  }
  if (file !== undefined) return (await readSecretFile(file, 'token')).trim();
  if (user !== undefined) return signInAs(user, values, insecure, io);
  const token = tokenFromEnvironment()?.trim();
  if (token !== undefined) return token;
  throw new UsageError(
    'a token is needed: export REALMGATE_TOKEN="$(realmgate token --user NAME)", or give --token-file FILE or --user NAME',
  );
}

async function signInAs(user: string, values: ConnectionValues, insecure: boolean, io: Io): Promise<string> {
  if (user === '') throw new UsageError('--user must not be empty');
  const url = safeUrl(values['realm-url'] ?? DEFAULT_REALM_URL, {
    option: '--realm-url',
    of: 'a realm',
    example: DEFAULT_REALM_URL,
    carries: 'password',
    insecure,
  });
  const response = await signIn({
    url,
    client: values['realm-client'] ?? DEFAULT_CLIENT,
    user,
    password: await findPassword(user, values['password-file'], io),
    scope: undefined,
    options: { url: '--realm-url', client: '--realm-client' },
  });
  return String(response['access_token']);
}

/** RFC 6750 section 2.1, `b64token`. Anything else would be refused, or become another header. */
function checkToken(token: string): string {
  if (isB64Token(token)) return token;
  throw new Failure('what was given as the token is none: it must be one line of letters, digits and -._~+/');
}
