import type { Answer } from './exchange.ts';
import type { Identity } from './identities.ts';
import type { Echo } from './upstream.ts';

/** An answer is not what it has to be. */
export class Wrong extends Error {}

/** The service answered, and saw exactly this user and this target. Returns which instance it was. */
export function checkEcho({ status, body }: Answer, identity: Identity, url: string): string {
  if (status !== 200) throw new Wrong(`${status} instead of 200 for ${url}: ${problemOf(body)}`);
  const echo = JSON.parse(body.toString('utf8')) as Echo;
  if (echo.url !== url) throw new Wrong(`the service saw ${echo.url} instead of ${url}`);
  if (echo.user !== identity.user || echo.username !== identity.username) {
    throw new Wrong(`the service saw the user ${String(echo.username)} instead of ${identity.username}`);
  }
  if (echo.sawToken) throw new Wrong('the service saw the token');
  return echo.instance;
}

/** The gateway refused, in the one form of the contract. */
export function checkRefusal({ status, headers, body }: Answer, wanted: number, code: string): void {
  const said = problemOf(body);
  if (status !== wanted || said !== code) throw new Wrong(`${status} ${said} instead of ${wanted} ${code}`);
  if (headers['content-type'] !== 'application/problem+json') {
    throw new Wrong(`a refusal of the type ${String(headers['content-type'])}`);
  }
  const challenge = headers['www-authenticate'];
  if (status === 401 && challenge === undefined) throw new Wrong('401 without a challenge');
  if (code === 'token_missing' && challenge?.includes('error=') === true) {
    throw new Wrong('a challenge that names an error where no token was sent');
  }
}

/** The error code in a problem; what stands there instead, where there is none. */
export function problemOf(body: Buffer): string {
  const text = body.toString('utf8');
  try {
    const { code } = JSON.parse(text) as { code?: unknown };
    return typeof code === 'string' ? code : 'without a code';
  } catch {
    return `without a problem (${body.length} bytes)`;
  }
}

/** Byte for byte. */
export function checkBytes(got: Buffer, expected: Buffer, what: string): void {
  if (got.equals(expected)) return;
  const place = got.findIndex((byte, i) => byte !== expected[i]);
  const at = place < 0 ? Math.min(got.length, expected.length) : place;
  throw new Wrong(`${what}: ${got.length} bytes instead of ${expected.length}, different from byte ${at} on`);
}
