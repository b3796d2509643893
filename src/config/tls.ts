import type { Checker } from './check.ts';
import type { Faults } from './faults.ts';
import { readSmallFile } from './read-file.ts';
import type { Sketch } from './rules.ts';
import type { ConfigFile } from './schema.ts';

type Tls = NonNullable<ConfigFile['gateway']['tls']>;

/** Reports a certificate or key that cannot be read, is none, does not fit the other, or that TLS would refuse. */
export async function checkTls(tls: Sketch<Tls>, checker: Checker, faults: Faults): Promise<void> {
  const report = (key: 'cert' | 'key', message: string): void => {
    const path = `gateway.tls.${key}`;
    const { place, shown } = checker.given(path);
    faults.add(place, path, `${shown} ${message}`);
  };
  const read = (key: 'cert' | 'key'): Buffer | null => {
    const path = tls[key];
    if (path === undefined) return null;
    const file = readSmallFile(path);
    if (file.ok) return file.content;
    report(key, `cannot be read: ${file.reason}`);
    return null;
  };
  const cert = read('cert');
  const key = read('key');
  if (cert === null && key === null) return;
  // Only a file with TLS pays for loading this.
  const { X509Certificate, createPrivateKey } = await import('node:crypto');
  const certificate = cert === null ? null : attempt(() => new X509Certificate(cert));
  const privateKey = key === null ? null : attempt(() => createPrivateKey(key));
  if (certificate === undefined) report('cert', 'holds no certificate; expected PEM');
  if (privateKey === undefined) report('key', 'holds no private key; expected PEM without a passphrase');
  if (cert === null || key === null || !certificate || !privateKey) return;
  if (!certificate.checkPrivateKey(privateKey)) {
    report('key', 'is not the key of the certificate in gateway.tls.cert');
    return;
  }
  const { createSecureContext } = await import('node:tls');
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    report('cert', `cannot be used for TLS: ${code}`);
  }
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
