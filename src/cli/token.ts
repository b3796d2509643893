import { parseArgs } from 'node:util';
import { decodeJwt } from 'jose';
import { Failure } from './failure.ts';
import { findPassword } from './find-password.ts';
import { safeUrl } from './safe-url.ts';
import { DEFAULT_CLIENT, DEFAULT_REALM_URL, signIn } from './sign-in.ts';
import { UsageError } from './verb.ts';
import type { Verb } from './verb.ts';

const HELP = `Usage: realmgate token --user NAME [options]

Signs in with the password grant and prints the access token.

  --user NAME           who signs in
  --url URL             the realm, directly or behind a gateway
                        (default ${DEFAULT_REALM_URL})
  --client ID           public client with direct access grants (default ${DEFAULT_CLIENT})
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
  url: { type: 'string', default: DEFAULT_REALM_URL },
  client: { type: 'string', default: DEFAULT_CLIENT },
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
    const { user, client, scope } = options;
    const url = safeUrl(options.url, {
      option: '--url',
      of: 'a realm',
      example: DEFAULT_REALM_URL,
      carries: 'password',
      insecure: options['insecure-http'],
    });
    if (user === undefined || user === '') throw new UsageError('--user NAME is needed: who signs in');
    if (client === '') throw new UsageError('--client must not be empty');

    try {
      const password = options.password ?? (await findPassword(user, options['password-file'], io));
      const names = { url: '--url', client: '--client' };
      const response = await signIn({ url, client, user, password, scope, options: names });
      io.out(`${render(response, options)}\n`);
      return 0;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      io.err(`realmgate token: ${error.message}\n`);
      return 1;
    }
  },
};

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

function render(response: Record<string, unknown>, options: { decode: boolean; json: boolean }): string {
  if (options.json) return JSON.stringify(response, null, 2);
  const accessToken = String(response['access_token']);
  if (!options.decode) return accessToken;
  try {
    return JSON.stringify(decodeJwt(accessToken), null, 2);
  } catch {
    throw new Failure('the access token is not a JWT, so there are no claims to show');
  }
}
