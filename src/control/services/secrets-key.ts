import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** The key that secrets are sealed with cannot be used: the message says why and what to do, and names the file. */
export class SecretsKeyError extends Error {
  override readonly name = 'SecretsKeyError';
}

const KEY_BYTES = 32;

/** The first byte of what is sealed, so that another way may follow. */
const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Seals texts with AES-256-GCM under one key: each with a nonce of its own, and bound to what it is for. */
export class Seal {
  readonly #key: KeyObject;

  constructor(key: KeyObject) {
    this.#key = key;
  }

  seal(text: string, purpose: string): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(purpose));
    const sealed = [cipher.update(text, 'utf8'), cipher.final()];
    return Buffer.concat([Buffer.of(FORMAT), nonce, cipher.getAuthTag(), ...sealed]);
  }

  /** null = it was not sealed with this key and for this purpose, or has changed since. */
  open(sealed: Uint8Array, purpose: string): string | null {
    const head = 1 + NONCE_BYTES + TAG_BYTES;
    if (sealed.length < head || sealed[0] !== FORMAT) return null;
    const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(purpose));
    decipher.setAuthTag(sealed.subarray(1 + NONCE_BYTES, head));
    const text = decipher.update(sealed.subarray(head));
    try {
      return Buffer.concat([text, decipher.final()]).toString('utf8');
    } catch {
      return null;
    }
  }
}

/** Reads a key file: 32 bytes as base64, which nobody but its owner can read. null = there is no such file. */
export function readKey(path: string): KeyObject | null {
  const text = readPrivate(path);
  if (text === null) return null;
  const bytes = Buffer.from(text.trim(), 'base64');
  if (bytes.length !== KEY_BYTES || bytes.toString('base64') !== text.trim()) {
    throw new SecretsKeyError(
      `${path} holds no key for secrets: expected 32 bytes as base64, as \`head -c 32 /dev/urandom | base64\` prints them`,
    );
  }
  return createSecretKey(bytes);
}

/** Makes a key file. A crash leaves the whole file or none. */
export function createKey(path: string): KeyObject {
  const bytes = randomBytes(KEY_BYTES);
  // Always the same name: what a crash left behind is overwritten.
  const draft = `${path}.tmp`;
  try {
    const file = openSync(draft, 'w', 0o600);
    writeFileSync(file, `${bytes.toString('base64')}\n`);
    fsyncSync(file);
    closeSync(file);
    renameSync(draft, path);
    const directory = openSync(dirname(path), 'r');
    fsyncSync(directory);
    closeSync(directory);
  } catch (error) {
    throw new SecretsKeyError(`A key for secrets cannot be made: ${(error as Error).message}`);
  }
  return createSecretKey(bytes);
}

function readPrivate(path: string): string | null {
  try {
    const file = openSync(path, 'r');
    try {
      if ((fstatSync(file).mode & 0o077) !== 0) {
        throw new SecretsKeyError(
          `Others can read ${path}, the key of the secrets: run \`chmod 600 ${path}\``,
        );
      }
      return readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof SecretsKeyError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new SecretsKeyError(`The key of the secrets cannot be read: ${message}`);
  }
}
