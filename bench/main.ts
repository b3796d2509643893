import { parseArgs } from 'node:util';
import { failuresOf, renderResult, runLoadTest } from './quick/run.ts';
import { givenTarget, LOCAL, localTarget, ownTarget, type Target } from './quick/target.ts';
import { numberOption, runProgram, WrongUsage } from './support/options.ts';
import { Workspace } from './support/workspace.ts';

const HELP = `npm run bench -- [options]

Puts a gateway under load and says how many authenticated requests it answers, and how fast. Without --url this is the
gateway that npm start runs at ${LOCAL}, or else one that is started for it.

  --url URL          what to call instead; it gets a lot of requests, so only a service of your own
  --token TOKEN      bearer token for --url; everybody on this machine can see it in the process list, so rather put it
                     into the environment variable REALMGATE_BENCH_TOKEN
  --seconds N        how long (default 60)
  --connections N    requests at a time, each on a connection of its own (default 64)

The load takes CPU too: on one machine it shares the cores with the gateway. Exits 1 when an answer was not 2xx or a
request failed, 64 on wrong usage.
`;

/** One line that changes on a terminal; elsewhere ten lines in all. */
class Progress {
  readonly #seconds: number;
  readonly #live = process.stderr.isTTY;

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  show(second: number, requests: number): void {
    const line = `${second}/${this.#seconds} s  ${requests.toLocaleString('en-US')} requests/s`;
    if (this.#live) process.stderr.write(`\r\x1b[K${line}`);
    else if (second % Math.ceil(this.#seconds / 10) === 0) process.stderr.write(`${line}\n`);
  }

  end(): void {
    if (this.#live) process.stderr.write('\r\x1b[K');
  }
}

await runProgram('bench', async () => {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      token: { type: 'string' },
      seconds: { type: 'string', default: '60' },
      connections: { type: 'string', default: '64' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const seconds = numberOption('seconds', values.seconds, 1, 86_400);
  const connections = numberOption('connections', values.connections, 1, 10_000);
  const { url, token } = values;
  if (url === undefined && token !== undefined) throw new WrongUsage('--token goes with --url');
  const given = url === undefined ? null : givenTarget(checkedUrl(url), checkedToken(token));
  const workspace = new Workspace();
  try {
    const target = given ?? (await localTarget()) ?? (await ownTarget(workspace));
    return await run(target, seconds, connections);
  } finally {
    await workspace.close();
  }
});

function checkedUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new WrongUsage('--url has to be an http:// or https:// URL');
  }
  if (url.username !== '' || url.password !== '') throw new WrongUsage('--url takes no user and password');
  url.hash = '';
  return url.href;
}

function checkedToken(option: string | undefined): string | null {
  const token = option ?? process.env['REALMGATE_BENCH_TOKEN'] ?? '';
  // RFC 6750 section 2.1. Whatever else it is, it is not shown.
  if (!/^(?:[\w.~+/-]+=*)?$/.test(token)) throw new WrongUsage('the token has characters that no token has');
  return token === '' ? null : token;
}

async function run(target: Target, seconds: number, connections: number): Promise<number> {
  process.stderr.write(`${target.description}: ${seconds} s with ${connections} connections\n`);
  const progress = new Progress(seconds);
  const onSecond = (second: number, requests: number): void => progress.show(second, requests);
  const result = await runLoadTest(target, { seconds, connections, onSecond });
  progress.end();
  process.stdout.write(`${renderResult(result)}\n`);
  const failures = failuresOf(result);
  for (const failure of failures) process.stderr.write(`${failure}\n`);
  return failures.length === 0 ? 0 : 1;
}
