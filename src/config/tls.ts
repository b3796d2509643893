import type { Tls } from '../contracts/settings.ts';
import type { Checker } from './check.ts';
import type { Faults } from './faults.ts';
import type { FilesRead } from './read-file.ts';
import type { Sketch } from './rules.ts';
import type { ConfigFile } from './schema.ts';

type Files = NonNullable<ConfigFile['gateway']['tls']>;

/**
 * Resolves to what the files say. Null = a certificate or key cannot be read, is none, does not fit the other, or TLS
 * would refuse it; that is reported.
 */
export async function readTls(
  files: Sketch<Files>,
  checker: Checker,
  faults: Faults,
  filesRead: FilesRead,
): Promise<Tls | null> {
  const report = (key: 'cert' | 'key', message: string): void => {
    const path = `gateway.tls.${key}`;
    const { place, shown } = checker.given(path);
    faults.add(place, path, `${shown} ${message}`);
  };
  const read = (key: 'cert' | 'key'): Buffer | null => {
    const path = files[key];
    if (path === undefined) return null;
    const file = filesRead.read(path);
    if (file.ok) return file.content;
    report(key, `cannot be read: ${file.reason}`);
    return null;
  };
  const cert = read('cert');
  const key = read('key');
  if (cert === null && key === null) return null;
  // Only a file with TLS pays for loading this.
  const { X509Certificate, createPrivateKey } = await import('node:crypto');
  const certificate = cert === null ? null : attempt(() => new X509Certificate(cert));
  const privateKey = key === null ? null : attempt(() => createPrivateKey(key));
  if (certificate === undefined) report('cert', 'holds no certificate; expected PEM');
  if (privateKey === undefined) report('key', 'holds no private key; expected PEM without a passphrase');
  if (cert === null || key === null || !certificate || !privateKey) return null;
  if (!certificate.checkPrivateKey(privateKey)) {
    report('key', 'is not the key of the certificate in gateway.tls.cert');
    return null;
  }
  const { createSecureContext } = await import('node:tls');
  try {
    createSecureContext({ cert, key });
    return { cert: cert.toString(), key: key.toString() };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    report('cert', `cannot be used for TLS: ${code}`);
    return null;
  }
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
