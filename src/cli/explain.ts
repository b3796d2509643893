import { text } from 'node:stream/consumers';
import type { ExplainCheck, Explanation } from '../contracts/explain.ts';
import { apiCommand, JSON_FLAG } from './command.ts';
import { readSecretFile } from './find-password.ts';
import { type Flags, type Values } from './flags.ts';
import { inOneLine, type Screen } from './screen.ts';
import { jsonText } from './services/describe.ts';
import { UsageError } from './verb.ts';

const FLAGS = {
  bearer: { value: 'FILE', help: 'token that the request would carry; - is standard input (default none)' },
  'own-token': { help: 'the request would carry the token that this command itself uses' },
  method: { short: 'X', value: 'METHOD', help: 'of the request (default GET)' },
  header: { short: 'H', value: 'NAME: VALUE', multiple: true, help: 'header that it would have; repeatable' },
  ...JSON_FLAG,
} as const satisfies Flags;

export const explain = apiCommand({
  name: 'explain',
  summary: 'what the gateway would do with a request, and why',
  operands: ['PATH'],
  about: `Asks what the gateway would answer to a request that nobody sends, and shows every check up to the first that
fails. Exits 0 when it would be forwarded, else 1. The token is not kept.`,
  flags: FLAGS,
  examples: [
    'realmgate explain /hello',
    'realmgate token --user alice | realmgate explain /hello --bearer -',
    'realmgate explain "/hello/items?page=2" -X POST --own-token --json',
  ],
  async run({ values, operands: [path = ''], screen, connect }) {
    if (!path.startsWith('/')) throw new UsageError('PATH begins with /, such as /hello');
    const { method = 'GET' } = values;
    const headers = headersOf(values.header ?? []);
    const own = values['own-token'] === true;
    if (own && values.bearer !== undefined)
      throw new UsageError('--bearer and --own-token exclude each other');
    const bearer = await bearerOf(values);
    const api = await connect();
    const answer = await api.explain({ token: own ? api.ownToken : bearer, method, path, headers });
    screen.out(values.json === true ? jsonText(answer) : description(`${method} ${path}`, answer, screen));
    return answer.allowed ? 0 : 1;
  },
});

async function bearerOf({ bearer }: Values<typeof FLAGS>): Promise<string | null> {
  if (bearer === undefined) return null;
  const token = bearer === '-' ? await text(process.stdin) : await readSecretFile(bearer, 'token');
  return token.trim();
}

function headersOf(given: readonly string[]): Record<string, string> {
  const headers = new Map<string, string>();
  for (const line of given) {
    const at = line.indexOf(':');
    if (at < 1) throw new UsageError('--header takes "NAME: VALUE"');
    headers.set(line.slice(0, at), line.slice(at + 1).trim());
  }
  return Object.fromEntries(headers);
}

function description(
  request: string,
  { allowed, status, code, checks }: Explanation,
  screen: Screen,
): string {
  const width = Math.max(0, ...checks.map(({ name }) => name.length));
  const lines = checks.map(
    (check) => `${mark(check, screen)} ${check.name.padEnd(width)}  ${inOneLine(check.detail)}`,
  );
  const verdict = allowed
    ? 'would be forwarded'
    : `would be answered ${status}${code === null ? '' : ` ${code}`}`;
  return `${[...lines, `${inOneLine(request)} ${verdict}`].join('\n')}\n`;
}

function mark({ ok }: ExplainCheck, screen: Screen): string {
  return ok ? screen.paint('green', '✓') : screen.paint('red', '✗');
}
