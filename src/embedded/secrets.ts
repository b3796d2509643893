import { createHash, generateKeyPair, randomBytes } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A private RSA key as a JWK (RFC 7517), with everything that a verifier or a signer asks for. */
export interface SigningKey {
  readonly kty: 'RSA';
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: 'RS256';
  readonly n: string;
  readonly e: string;
  readonly d: string;
  readonly p: string;
  readonly q: string;
  readonly dp: string;
  readonly dq: string;
  readonly qi: string;
}

/** What the realm must not forget over a restart. */
export interface RealmSecrets {
  readonly signingKey: SigningKey;
  /** base64url. Signs refresh tokens (HS512), which only the realm itself reads. */
  readonly refreshSecret: string;
  /** base64url. Signs the cookies of the sign-in page. */
  readonly cookieSecret: string;
  /** Secret of the confidential client. */
  readonly clientSecret: string;
}

const FILE = 'keys.json';
const MEMBERS = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'] as const;

/** Reads the realm's secrets from `directory`; makes and keeps new ones when there are none. */
export async function loadSecrets(directory: string): Promise<RealmSecrets> {
  const path = join(directory, FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const secrets: RealmSecrets = {
      signingKey: await generateSigningKey(),
      refreshSecret: randomBytes(64).toString('base64url'),
      cookieSecret: randomBytes(32).toString('base64url'),
      clientSecret: randomBytes(24).toString('base64url'),
    };
    await saveSecrets(directory, secrets);
    return secrets;
  }
  const secrets = parse(text);
  if (secrets === null)
    throw new Error(`${path} holds no keys of an embedded realm: remove it to start anew`);
  return secrets;
}

/** Replaces the file in one step, readable by its owner only: a crash leaves the old one or the new one. */
export async function saveSecrets(directory: string, secrets: RealmSecrets): Promise<void> {
  const path = join(directory, FILE);
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(secrets, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

/** A new RSA key of 2048 bits; its `kid` is the key's own thumbprint (RFC 7638). */
export async function generateSigningKey(): Promise<SigningKey> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const jwk = privateKey.export({ format: 'jwk' }) as Record<(typeof MEMBERS)[number], string>;
  const kid = createHash('sha256')
    .update(JSON.stringify({ e: jwk.e, kty: 'RSA', n: jwk.n }))
    .digest('base64url');
  return { ...jwk, kty: 'RSA', kid, use: 'sig', alg: 'RS256' };
}

function parse(text: string): RealmSecrets | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const { signingKey, refreshSecret, cookieSecret, clientSecret } = (value ?? {}) as Record<string, unknown>;
  const key = (signingKey ?? {}) as Record<string, unknown>;
  const strings = [
    refreshSecret,
    cookieSecret,
    clientSecret,
    key['kid'],
    ...MEMBERS.map((name) => key[name]),
  ];
  if (!strings.every((member) => typeof member === 'string' && member !== '')) return null;
  if (key['kty'] !== 'RSA' || key['alg'] !== 'RS256' || key['use'] !== 'sig') return null;
  return value as RealmSecrets;
}
