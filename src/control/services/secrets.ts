import { join } from 'node:path';
import type { Environment, Problem, SecretView, ServiceSpec } from '../../contracts/service.ts';
import { InvalidRequest, Refusal } from '../../errors.ts';
import type { SecretTable } from '../store/secret-table.ts';
import { EMPTY_ENVIRONMENT } from './environments.ts';
import { NOTATIONS } from './notations.ts';
import { readBody, textProblem } from './read-body.ts';
import { text } from './schema.ts';
import { SecretsKeyError, Seal, createKey, readKey } from './secrets-key.ts';
import { SECRET_BODY } from './spec-schema.ts';
import { secretCollisions, variableProblems } from './variables.ts';

/** Bytes of all values of one secret, as Kubernetes has it. */
const MOST_BYTES = 1024 * 1024;

const NAME = text(NOTATIONS.secretName, { description: 'Name of the secret.' });

/** What is sealed once, to tell whether a key is the right one. */
const CHECK = { purpose: 'key-check', text: 'realmgate' } as const;

export interface SecretsOptions {
  readonly table: SecretTable;
  readonly dataDir: string;
  /** File with the key; null = `secrets.key` in `dataDir`, which is made where there are no secrets yet. */
  readonly keyFile: string | null;
  /** The current services, as they are and as they are about to be. */
  readonly services: () => readonly Pick<ServiceSpec, 'name' | 'secrets' | 'git'>[];
}

/** Secrets, sealed in the store. Their values come out of `values` only. */
export class Secrets {
  readonly #table: SecretTable;
  readonly #services: SecretsOptions['services'];
  readonly #seal: Seal;

  /** Throws `SecretsKeyError` when there is no key, or not the one that the secrets are sealed with. */
  constructor({ table, dataDir, keyFile, services }: SecretsOptions) {
    this.#table = table;
    this.#services = services;
    this.#seal = unlock(table, dataDir, keyFile);
  }

  list(): SecretView[] {
    return this.#table.list();
  }

  get(name: string): SecretView {
    const secret = this.#table.get(name);
    if (secret === null) throw new Refusal('not_found', 'There is no such secret');
    const { keys, updatedAt, updatedBy } = secret;
    return { name, keys, updatedAt, updatedBy };
  }

  /**
   * Replaces the whole secret. Services that use it get it from their next start on. Refuses a key that becomes the
   * variable of another secret's key in one of them: one of the two would be lost at that start.
   */
  put(name: string, body: unknown, actor: string): SecretView {
    const data = readData(name, body);
    const keys = Object.keys(data).sort();
    const collisions = secretCollisions(keys, this.#sharing(name));
    if (collisions.length > 0) throw new InvalidRequest(collisions);
    // Of a damaged one nothing is known any more.
    const before = new Map(Object.entries(this.#open(name) ?? {}));
    const sealed = this.#seal.seal(JSON.stringify(data), purposeOf(name));
    const changed = keys.filter((key) => before.has(key) && before.get(key) !== data[key]);
    this.#table.put({ name, keys, sealed }, { actor, changed });
    return this.get(name);
  }

  delete(name: string, actor: string): void {
    this.get(name);
    const users = new Set(
      this.#services()
        .filter(({ secrets, git }) => secrets.includes(name) || git.credentials === name)
        .map((service) => service.name),
    );
    if (users.size > 0) {
      throw new Refusal(
        'conflict',
        `The secret ${name} is used by ${[...users].join(', ')}; cancel or update first`,
      );
    }
    this.#table.delete(name, { actor });
  }

  /** Key → value; null = there is no such secret. Throws where it was damaged by another hand: the key is the right one. */
  values(name: string): Readonly<Record<string, string>> | null {
    const values = this.#open(name);
    if (values === null && this.#table.get(name) !== null) {
      throw new Error(`The secret ${name} is damaged: write it again`);
    }
    return values;
  }

  /** The services that get this secret, and the others that each of them gets. */
  #sharing(secret: string): Parameters<typeof secretCollisions>[1] {
    return this.#services()
      .filter(({ secrets }) => secrets.includes(secret))
      .map(({ name, secrets }) => ({
        name,
        others: secrets
          .filter((each) => each !== secret)
          .map((each) => ({ name: each, keys: this.#table.get(each)?.keys ?? [] })),
      }));
  }

  /** null = there is no such secret, or it is damaged. */
  #open(name: string): Readonly<Record<string, string>> | null {
    const secret = this.#table.get(name);
    const opened = secret === null ? null : this.#seal.open(secret.sealed, purposeOf(name));
    return opened === null ? null : (JSON.parse(opened) as Record<string, string>);
  }
}

/** Bound to its name, so that nobody who can write the database gives a service another one's values. */
function purposeOf(name: string): string {
  return `secret ${name}`;
}

function unlock(table: SecretTable, dataDir: string, keyFile: string | null): Seal {
  const path = keyFile ?? join(dataDir, 'secrets.key');
  const check = table.keyCheck();
  const key = readKey(path);
  if (key === null && keyFile !== null) {
    throw new SecretsKeyError(
      `${path}, the key of the secrets, does not exist: put it back, or make one with ` +
        `\`(umask 077; head -c 32 /dev/urandom | base64 > ${path})\``,
    );
  }
  const bare = table.list().length === 0;
  if (key === null && !bare) {
    throw new SecretsKeyError(`${path}, the key that the secrets are sealed with, is gone: put it back`);
  }
  const seal = new Seal(key ?? createKey(path));
  // Where nothing is sealed, any key will do.
  if (check !== null && seal.open(check, CHECK.purpose) === CHECK.text) return seal;
  if (!bare) {
    throw new SecretsKeyError(`${path} is not the key that the secrets are sealed with: put that one back`);
  }
  table.setKeyCheck(seal.seal(CHECK.text, CHECK.purpose));
  return seal;
}

function readData(name: string, body: unknown): Readonly<Record<string, string>> {
  const wrongName = textProblem(name, NAME, 'name');
  const { value, problems } = readBody(body, SECRET_BODY);
  const wrong = wrongName === null ? [...problems] : [wrongName, ...problems];
  if (wrong.length > 0) throw new InvalidRequest(wrong);
  const { data } = value as { readonly data: Readonly<Record<string, string>> };
  const bytes = Object.values(data).reduce((sum, each) => sum + Buffer.byteLength(each), 0);
  if (bytes > MOST_BYTES)
    wrong.push({ field: 'data', message: `its values have ${bytes} bytes; at most 1 MiB is possible` });
  wrong.push(...keyProblems(name, Object.keys(data)));
  if (wrong.length > 0) throw new InvalidRequest(wrong);
  return data;
}

/** Keys that no variable can be made of, and those of which two become the same one. */
function keyProblems(name: string, keys: readonly string[]): Problem[] {
  const environment: Environment = { name: 'default', ...EMPTY_ENVIRONMENT };
  return variableProblems({ parameters: {}, secrets: [{ name, keys }], environment }).map(({ message }) => ({
    field: 'data',
    message,
  }));
}
