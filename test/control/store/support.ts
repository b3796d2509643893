import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { ServiceSpec } from '../../../src/contracts/service.ts';
import { Store, type StoredService } from '../../../src/control/store/store.ts';

export function makeDataDir(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'realmgate-store-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  return dataDir;
}

/** Closed at the end of the test, unless the test did. */
export function openStore(dataDir = makeDataDir(), now?: () => Date): Store {
  const store = new Store(dataDir, now);
  onTestFinished(() => {
    try {
      store.close();
    } catch {
      // The test closed it.
    }
  });
  return store;
}

export function specOf(changes: Partial<ServiceSpec> = {}): ServiceSpec {
  return {
    name: 'brave-otter',
    endpoint: '/hello',
    environment: 'default',
    type: 'shell',
    path: 'run.sh',
    port: 8787,
    minReplicas: 1,
    maxReplicas: 3,
    git: {
      repository: 'https://git.example.com/team/app.git',
      branch: 'main',
      commit: null,
      credentials: null,
    },
    parameters: { 'model-name': 'small' },
    secrets: ['openai'],
    fixedPort: false,
    stripPrefix: true,
    access: { roles: [], scopes: [], clients: [] },
    public: false,
    health: null,
    ...changes,
  };
}

/** Name and endpoint made of one word. */
export function named(word: string): ServiceSpec {
  return specOf({ name: word, endpoint: `/${word}` });
}

export function create(
  store: Store,
  spec: ServiceSpec = specOf(),
  clonedFrom: string | null = null,
): StoredService {
  const reason = clonedFrom === null ? 'create' : 'clone';
  return store.createService({ id: randomUUID(), spec, actor: 'alice', reason, clonedFrom });
}
