import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { decodeJwt } from 'jose';
import { passwordFromEnvironment } from '../config/environment.ts';
import { isLoopback } from '../embedded/loopback.ts';
import { readPassword } from './read-password.ts';
import { describeFailure } from './token-failure.ts';
import { UsageError } from './verb.ts';
import type { Io, Verb } from './verb.ts';

const DEFAULT_URL = 'http://127.0.0.1:8080/auth/realms/demo';

const HELP = `Usage: realmgate token --user NAME [options]

Signs in with the password grant and prints the access token.

  --user NAME           who signs in
  --url URL             the realm, directly or behind a gateway
                        (default ${DEFAULT_URL})
  --client ID           public client with direct access grants (default istio)
  --scope SCOPES        scopes to ask for, separated by spaces
  --password-file FILE  read the password from a file
  --password PASSWORD   the password itself; everybody on this machine can see it in the process list
  --decode              print the token's claims as JSON instead; the signature is not checked
  --json                print the whole token response as JSON instead
  --insecure-http       allow http:// to other hosts than this one: the password travels readable

The password comes from the first of --password or --password-file, REALMGATE_PASSWORD, and standard input, which
asks without echo on a terminal.

Examples:
  realmgate token --user alice
  curl -H "Authorization: Bearer $(realmgate token --user alice --password-file alice.txt)" \\
    http://127.0.0.1:8080/hello
  realmgate token --user alice --decode <<< "$PASSWORD"
  realmgate token --user bob --url https://services.example.com/auth/realms/demo --scope "openid email"
`;

const OPTIONS = {
  user: { type: 'string' },
  url: { type: 'string', default: DEFAULT_URL },
  client: { type: 'string', default: 'istio' },
  scope: { type: 'string' },
  password: { type: 'string' },
  'password-file': { type: 'string' },
  decode: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  'insecure-http': { type: 'boolean', default: false },
} as const;

export const token: Verb = {
  summary: 'sign in with a password and print the access token',
  help: HELP,
  run: async (args, io) => {
    const options = readOptions(args);
    const url = realmUrl(options.url, options['insecure-http']);
    const { user, client, scope } = options;
    if (user === undefined || user === '') throw new UsageError('--user NAME is needed: who signs in');
    if (client === '') throw new UsageError('--client must not be empty');

    let password: string | null = null;
    try {
      password = await findPassword(options, user, io);
      if (password === null) throw new FailureLine('no password was given');
      const response = await signIn({ url, client, user, password, scope });
      io.out(`${render(response, options)}\n`);
      return 0;
    } catch (error) {
      const line =
        error instanceof FailureLine
          ? error.message
          : describeFailure(error, { url, client, user, password });
      io.err(`realmgate token: ${line}\n`);
      return 1;
    }
  },
};

/** Something failed that is already said in one line for the user. */
class FailureLine extends Error {}

function readOptions(args: readonly string[]) {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS, strict: true });
    if (values.decode && values.json) throw new UsageError('--decode and --json exclude each other');
    if (values.password !== undefined && values['password-file'] !== undefined) {
      throw new UsageError('--password and --password-file exclude each other');
    }
    return values;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    // The argument that was not understood may be a password: only the code says what was wrong.
    const code = (error as { code?: string }).code;
    if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL')
      throw new UsageError('arguments without a name are not taken');
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') throw new UsageError('there is an unknown option');
    throw new UsageError('an option lacks its value, or has one and takes none');
  }
}

/** Checks the realm's URL; passwords travel in the clear to this machine only, unless the user insists. */
function realmUrl(text: string, insecure: boolean): string {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError(`--url must be an http:// or https:// URL of a realm, such as ${DEFAULT_URL}`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new UsageError('--url must have no user, password, query or fragment');
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (url.protocol === 'http:' && host !== 'localhost' && !isLoopback(host) && !insecure) {
    throw new UsageError(
      `--url would send the password readable to ${url.host}: use https://, or --insecure-http if that is meant`,
    );
  }
  return url.href.replace(/\/+$/, '');
}

async function findPassword(
  options: ReturnType<typeof readOptions>,
  user: string,
  io: Io,
): Promise<string | null> {
  if (options.password !== undefined) return options.password;
  const file = options['password-file'];
  if (file !== undefined) {
    try {
      return (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException;
      throw new FailureLine(`the password file ${file} cannot be read (${code})`);
    }
  }
  return (
    passwordFromEnvironment() ??
    (await readPassword(
      process.stdin,
      () => io.err(`Password of ${user}: `),
      () => io.err('\n'),
    ))
  );
}

interface SignIn {
  readonly url: string;
  readonly client: string;
  readonly user: string;
  readonly password: string;
  readonly scope: string | undefined;
}

/** The password grant (RFC 6749 section 4.3) at the URL's own token endpoint, whatever its discovery names. */
async function signIn({ url, client, user, password, scope }: SignIn): Promise<Record<string, unknown>> {
  const oidc = await import('openid-client');
  const wantsId = scope?.split(' ').includes('openid') === true;
  const issuer = wantsId ? await issuerOf(url) : url;
  const server = { issuer, token_endpoint: `${url}/protocol/openid-connect/token` };
  const configuration = new oidc.Configuration(server, client, undefined, oidc.None());
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that nobody overlooks it; checked above
  if (url.startsWith('http:')) oidc.allowInsecureRequests(configuration);
  const parameters = { username: user, password, ...(scope === undefined ? {} : { scope }) };
  return { ...(await oidc.genericGrantRequest(configuration, 'password', parameters)) };
}

/** The issuer that an ID token will name: behind a gateway it is not the URL. */
async function issuerOf(url: string): Promise<string> {
  const response = await fetch(`${url}/.well-known/openid-configuration`, {
    redirect: 'manual',
    signal: AbortSignal.timeout(30_000),
  });
  const document: unknown = response.ok ? await response.json() : null;
  const issuer = (document as { issuer?: unknown } | null)?.issuer;
  if (typeof issuer === 'string') return issuer;
  throw new FailureLine(
    `${url} publishes no discovery document (${response.status}), which the scope openid needs: check --url`,
  );
}

function render(response: Record<string, unknown>, options: { decode: boolean; json: boolean }): string {
  if (options.json) return JSON.stringify(response, null, 2);
  const accessToken = String(response['access_token']);
  if (!options.decode) return accessToken;
  try {
    return JSON.stringify(decodeJwt(accessToken), null, 2);
  } catch {
    throw new FailureLine('the access token is not a JWT, so there are no claims to show');
  }
}
