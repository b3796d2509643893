import { startApp } from '../app.ts';
import { StopSignals } from '../app/stop-signals.ts';
import { explain } from './serve.ts';
import { token } from './token.ts';
import { type Io, UsageError, type Verb } from './verb.ts';

const HELP = `realmgate demo

Starts what npm start starts, gets a token with the password grant through the gateway, calls the service with it and
without it, prints what came back, and stops. Exits 1 if anything was not as it should be.
`;

const CONFIG = 'config/local.yaml';

export const demo: Verb = {
  summary: 'start everything, make a first call, and stop',
  help: HELP,
  async run(args, io) {
    if (args.length > 0) throw new UsageError('demo takes no arguments');
    const signals = new StopSignals();
    try {
      const app = await startApp({
        configFile: CONFIG,
        pretty: process.stdout.isTTY,
        level: 'warn',
        signal: signals.asked,
      });
      try {
        return (await firstCalls(app.gatewayUrl, signals.asked, io)) ? 0 : 1;
      } finally {
        await app.stop();
      }
    } catch (error) {
      if (!signals.asked.aborted) return explain(error, (line) => io.err(line));
      io.err('realmgate: the demo was stopped\n');
      return 1;
    }
  },
};

/** Prints three calls with their answers; false when one was not as it should be. */
async function firstCalls(gateway: string, stopped: AbortSignal, io: Io): Promise<boolean> {
  const credentials = ['--url', `${gateway}/auth/realms/demo`, '--user', 'alice', '--password', 'alice'];
  let bearer = '';
  io.out('A token with the password grant, through the gateway; its claims:\n\n');
  const got = await token.run(credentials, {
    out: (text) => void (bearer += text),
    err: (text) => io.err(text),
  });
  if (got !== 0) return false;
  bearer = bearer.trim();
  io.out(`${JSON.stringify(claimsOf(bearer), null, 2)}\n`);
  const good = await call(`${gateway}/hello`, { authorization: `Bearer ${bearer}` }, stopped, io);
  const bad = await call(`${gateway}/hello`, {}, stopped, io);
  const fine = good.status === 200 && bad.status === 401 && bad.type === 'application/problem+json';
  io.out(fine ? '\nAll as it should be.\n' : '\nThis is not as it should be: 200 and 401 were expected.\n');
  return fine;
}

function claimsOf(jwt: string): unknown {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString('utf8'));
}

async function call(
  url: string,
  headers: Record<string, string>,
  stopped: AbortSignal,
  io: Io,
): Promise<{ status: number; type: string }> {
  const shown = 'authorization' in headers ? ' with the token' : ' without a token';
  io.out(`\nGET ${url}${shown}\n\n`);
  const response = await fetch(url, {
    headers,
    signal: AbortSignal.any([stopped, AbortSignal.timeout(10_000)]),
  });
  const type = response.headers.get('content-type') ?? '';
  io.out(`${response.status} ${response.statusText}\n`);
  for (const name of ['content-type', 'www-authenticate']) {
    const value = response.headers.get(name);
    if (value !== null) io.out(`${name}: ${value}\n`);
  }
  io.out(`\n${(await response.text()).trim()}\n`);
  return { status: response.status, type };
}
