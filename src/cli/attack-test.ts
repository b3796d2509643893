import { isB64Token } from '../bearer.ts';
import { tokenFromEnvironment } from '../config/environment.ts';
import { isLoopback } from '../embedded/loopback.ts';
import { attacksOn, leftOut } from './attacks/all.ts';
import { attackOnce, type Verdict } from './attacks/judge.ts';
import type { Place } from './attacks/send.ts';
import { survey } from './attacks/survey.ts';
import { Failure } from './failure.ts';
import { readSecretFile } from './find-password.ts';
import { describeFlags, type Flags, parseFlags, type Values } from './flags.ts';
import { networkFailure } from './network-failure.ts';
import { Progress } from './progress.ts';
import { safeUrl } from './safe-url.ts';
import { type Screen, screenOf } from './screen.ts';
import { jsonText } from './services/describe.ts';
import { table } from './table.ts';
import { UsageError, type Verb } from './verb.ts';

const FLAGS = {
  url: { value: 'URL', help: 'the gateway, such as http://127.0.0.1:8080' },
  path: { value: 'PATH', help: 'what wants a token there (default /hello)' },
  'token-file': {
    value: 'FILE',
    help: 'read a token that may call PATH from a file (default REALMGATE_TOKEN)',
  },
  'no-token': { help: 'use no token, not even REALMGATE_TOKEN' },
  'i-operate-this-gateway': { help: 'the gateway is not on this machine, and it is yours to test' },
  'insecure-http': { help: 'allow http:// to other hosts than this one: the token travels readable' },
  json: { help: 'print every attack with its verdict as JSON' },
} as const satisfies Flags;

const HELP = `realmgate attack-test --url URL [options]

Sends some 170 requests that a gateway must refuse, one at a time and each on a connection of its own: ambiguous
paths, broken heads, conflicting framing, forged identities, tokens that nobody issued, what a realm must not publish.
Shows for each what should have come and what came, with the advisory (CVE) where there is one. Exits 0 when every
answer was right, else 1. What might reach a service is GET, so that one that takes it for good changes nothing.

Another gateway can be tested too: one that gives no error codes is judged by status alone.

Options:
${describeFlags(FLAGS)}
Examples:
  realmgate attack-test --url http://127.0.0.1:8080
  REALMGATE_TOKEN=$(realmgate token --user alice) realmgate attack-test --url http://127.0.0.1:8080
  realmgate attack-test --url https://services.example.com --path /orders --i-operate-this-gateway --token-file t.txt
`;

type Given = Values<typeof FLAGS>;

export const attackTest: Verb = {
  summary: 'send a gateway what it must refuse, and show what it does',
  help: HELP,
  async run(args, io) {
    const { values, operands } = parseFlags(FLAGS, args);
    if (operands.length > 0) throw new UsageError('only options are taken');
    const place = placeOf(values);
    const path = pathOf(values);
    const screen = screenOf(io);
    try {
      const token = await tokenOf(values);
      const site = await survey(place.at, { authority: place.authority, path, token });
      const verdicts = await attackAll(place.at, attacksOn(site), screen);
      report(verdicts, leftOut(site), values, screen);
      return verdicts.every(({ ok }) => ok) ? 0 : 1;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const [first = '', ...more] = error.lines;
      io.err([`realmgate attack-test: ${first}`, ...more, ''].join('\n'));
      return 1;
    }
  },
};

function placeOf(values: Given): { readonly at: Place; readonly authority: string } {
  if (values.url === undefined) throw new UsageError('--url URL is needed: the gateway to test');
  const checked = safeUrl(values.url, {
    option: '--url',
    of: 'a gateway',
    example: 'http://127.0.0.1:8080',
    carries: 'token',
    insecure: values['insecure-http'] === true || !mayHaveToken(values),
  });
  const { protocol, hostname, port, host, pathname } = new URL(checked);
  if (pathname !== '/')
    throw new UsageError('--url is the gateway alone; what is called there is given by --path');
  const address = hostname.replace(/^\[|\]$/g, '');
  if (address !== 'localhost' && !isLoopback(address) && values['i-operate-this-gateway'] !== true) {
    throw new UsageError(
      `${host} is not on this machine; say --i-operate-this-gateway if you may attack it: many of these requests look hostile to whoever watches`,
    );
  }
  const secure = protocol === 'https:';
  return {
    at: { host: address, port: port === '' ? (secure ? 443 : 80) : Number(port), secure },
    authority: host,
  };
}

function pathOf({ path = '/hello' }: Given): string {
  if (/^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$/.test(path) || path === '/') return path;
  throw new UsageError(
    '--path begins with / and has letters, digits and -._~ only, without a slash at its end',
  );
}

function mayHaveToken(values: Given): boolean {
  return (
    values['no-token'] !== true && (values['token-file'] !== undefined || tokenFromEnvironment() !== null)
  );
}

async function tokenOf(values: Given): Promise<string | null> {
  const { 'token-file': file, 'no-token': none } = values;
  if (none === true) {
    if (file !== undefined) throw new UsageError('--token-file and --no-token exclude each other');
    return null;
  }
  const token = file === undefined ? tokenFromEnvironment() : await readSecretFile(file, 'token');
  if (token === null) return null;
  if (isB64Token(token.trim())) return token.trim();
  throw new Failure('what was given as the token is none: it must be one line of letters, digits and -._~+/');
}

async function attackAll(
  place: Place,
  attacks: ReturnType<typeof attacksOn>,
  screen: Screen,
): Promise<Verdict[]> {
  const progress = new Progress(screen);
  const verdicts: Verdict[] = [];
  try {
    for (const [done, attack] of attacks.entries()) {
      progress.status(`${done + 1} of ${attacks.length}: ${attack.kind}: ${attack.name}`);
      verdicts.push(await attackOnce(place, attack));
    }
  } catch (error) {
    const why = networkFailure(error, '--url') ?? 'the connection failed';
    throw new Failure(`the gateway was lost after ${verdicts.length} of ${attacks.length} attacks: ${why}`);
  } finally {
    progress.clear();
  }
  return verdicts;
}

function report(
  verdicts: readonly Verdict[],
  left: readonly string[],
  { json }: Given,
  screen: Screen,
): void {
  const wrong = verdicts.filter(({ ok }) => !ok);
  if (json === true) {
    const attacks = verdicts.map(({ attack: { kind, name, advisory, expected, closes }, came, ok }) => ({
      kind, name, advisory, expected, closes, came, ok,
    })); // prettier-ignore
    screen.out(jsonText({ ok: wrong.length === 0, attacks, leftOut: left }));
    return;
  }
  // What needs a look stands at the end, where the eye is.
  const shown = [...verdicts.filter(({ ok }) => ok), ...wrong];
  screen.out(`${verdictTable(shown, screen)}\n`);
  const found =
    wrong.length === 0 ? 'each was answered as it should be' : `${wrong.length} were not answered as they should be`;
  screen.out(`${verdicts.length} attacks: ${found}\n`);
  for (const line of left) screen.out(`${line}\n`);
} // prettier-ignore

function verdictTable(verdicts: readonly Verdict[], screen: Screen): string {
  return table<Verdict>(
    [
      {
        title: 'OK',
        text: ({ ok }) => (ok ? 'yes' : 'NO'),
        paint: ({ ok }, text) => screen.paint(ok ? 'green' : 'red', text),
      },
      { title: 'ATTACK', text: ({ attack: { kind, name } }) => `${kind}: ${name}`, cut: true },
      { title: 'ADVISORY', text: ({ attack: { advisory } }) => advisory ?? '' },
      { title: 'SHOULD COME', text: ({ attack: { expected } }) => expected.join(' or '), cut: true },
      { title: 'CAME', text: ({ came }) => came, cut: true },
    ],
    verdicts,
    screen.width,
  );
}
