import { readFileSync } from 'node:fs';
import type { JWK } from 'jose';
import { publishRealm } from '../support/realm.ts';

/*
 * A realm that can be ended like any other program: `node realm-process.ts PORT ISSUER FILE`, the file holding its
 * keys as JSON. It tells its parent the ids of the keys that it has sent somebody.
 */

export interface ServedKeys {
  readonly kids: readonly (string | undefined)[];
}

const [, , port = '', issuer = '', file = ''] = process.argv;

const realm = await publishRealm({
  port: Number(port),
  issuer,
  keys: () => JSON.parse(readFileSync(file, 'utf8')) as JWK[],
  onServed: (keys) => {
    const message: ServedKeys = { kids: keys.map(({ kid }) => kid) };
    if (process.connected) process.send?.(message);
  },
});
process.on('SIGTERM', () => {
  void realm.close().then(() => process.disconnect?.());
});
