import { hostileTokens, HOSTILE_KINDS } from '../support/hostile-tokens.ts';
import { keycloakClaims, sign, type SigningKey } from '../support/tokens.ts';
import { ANSWER } from '../support/upstream-server.ts';

/**
 * What is wrong with the answers of a gateway that is to be measured; empty = nothing. A good token has to bring the
 * service's answer byte for byte, and from a gateway that claims to check tokens nothing else may bring any but 401.
 */
export async function faultsOf(
  port: number,
  checksTokens: boolean,
  key: SigningKey,
  issuer: string,
): Promise<string[]> {
  const faults: string[] = [];
  const good = await call(port, await sign(key, keycloakClaims(issuer, 1)));
  if (good.status !== 200) faults.push(`a good token gets ${good.status}`);
  else if (good.body !== ANSWER) faults.push('the answer is not what the service said');
  if (!checksTokens) return faults;
  const missing = await call(port, null);
  if (missing.status !== 401) faults.push(`no token gets ${missing.status}`);
  for (const kind of HOSTILE_KINDS) {
    // Each form of the malformed ones.
    for (const token of await hostileTokens(kind, key, issuer, kind === 'malformed' ? 8 : 1)) {
      const { status } = await call(port, token);
      if (status !== 401) faults.push(`a token of the kind ${kind} gets ${status}`);
    }
  }
  return faults;
}

async function call(port: number, token: string | null): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${port}/api/items/42`, {
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    redirect: 'manual',
    signal: AbortSignal.timeout(10_000),
  });
  return { status: response.status, body: await response.text() };
}
