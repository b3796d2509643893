import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, vi } from 'vitest';
import type { Deployment, DeployedReplica, Driver, DriverEvent } from '../../../../src/contracts/driver.ts';
import type { Environment, ServiceSpec } from '../../../../src/contracts/service.ts';
import type { LocalDriverSettings } from '../../../../src/contracts/settings.ts';
import { createLocalDriver } from '../../../../src/control/drivers/local/local-driver.ts';
import { GitCache } from '../../../../src/control/git/git-cache.ts';
import { freePort } from '../../../support/free-port.ts';
import { SourceRepository, temporaryDirectory } from '../../git/source-repository.ts';

/** A program that listens on its port and answers with its process id; `/VARIABLE` gives that variable.
 * Where there is a file `unwell`, it answers 500. */
const SERVER = `
const { existsSync } = require('node:fs');
require('node:http').createServer((request, response) => {
  if (existsSync('unwell')) response.statusCode = 500;
  response.end(process.env[request.url.slice(1)] ?? String(process.pid));
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
`;

/** Files of a service that only runs it. */
export const APP = { 'run.sh': 'exec node server.cjs\n', 'server.cjs': SERVER };

export const ENVIRONMENT: Environment = {
  name: 'default',
  variables: {},
  interpreters: { bash: null, python: null, node: null },
  resources: { cpu: null, memory: null },
  image: null,
  kubernetes: {},
};

export interface Told extends DriverEvent {
  readonly deployment: string;
}

export interface Changes {
  readonly spec?: Partial<ServiceSpec>;
  readonly environment?: Partial<Environment>;
  readonly secrets?: Deployment['secrets'];
  readonly credentials?: Deployment['credentials'];
  readonly replicas?: number;
  readonly service?: string;
  readonly lastCommit?: string;
}

/**
 * For one driver alone: two that look at one free port at the same time would both take it. It lies below what systems
 * take for outgoing connections.
 */
export function portRange(): LocalDriverSettings['portRange'] {
  const first = randomInt(100, 200) * 100;
  return { first, last: first + 99 };
}

/** As the registry would make it. */
export async function deployment(
  id: string,
  repository: SourceRepository,
  changes: Changes,
): Promise<Deployment> {
  const { service = 'app', secrets = {}, credentials = null, replicas = 1, lastCommit = null } = changes;
  const spec: ServiceSpec = {
    name: 'app',
    endpoint: '/app',
    environment: 'default',
    type: 'shell',
    path: 'run.sh',
    port: await freePort(),
    minReplicas: 1,
    maxReplicas: 10,
    git: repository.source(),
    parameters: {},
    secrets: Object.keys(secrets),
    fixedPort: false,
    stripPrefix: true,
    access: { roles: [], scopes: [], clients: [] },
    public: false,
    health: null,
    ...changes.spec,
  };
  const environment = { ...ENVIRONMENT, ...changes.environment };
  return { id, serviceId: service, spec, environment, secrets, credentials, lastCommit, replicas };
}

const PATH = process.env['PATH'] ?? '';

/** A driver with repositories to run, and what it told. */
export class TestDriver {
  readonly dataDir: string;
  readonly driver: Driver;
  readonly told: Told[] = [];
  readonly changed: string[] = [];
  readonly logged: { readonly fields: Record<string, unknown>; readonly message: string }[] = [];
  #deployments = 0;

  constructor(
    settings: Partial<LocalDriverSettings> = {},
    dataDir = join(temporaryDirectory(), 'data'),
    path = PATH,
  ) {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    this.dataDir = dataDir;
    const note = (fields: object, message: string): void =>
      void this.logged.push({ fields: fields as Record<string, unknown>, message });
    this.driver = createLocalDriver({
      dataDir,
      settings: {
        portRange: portRange(),
        restartBackoff: { first: 50, max: 400, resetAfter: 60_000 },
        ...settings,
      },
      environment: { PATH: path, HOME: dataDir },
      git: new GitCache({ directory: join(dataDir, 'git'), environment: { PATH } }),
      events: {
        changed: (id) => void this.changed.push(id),
        happened: (deployment, event) => void this.told.push({ deployment, ...event }),
      },
      log: { warn: note, error: note },
    });
  }

  /** `path`: where services and the driver find programs. */
  static async start(
    settings: Partial<LocalDriverSettings> = {},
    dataDir?: string,
    path?: string,
  ): Promise<TestDriver> {
    const test = new TestDriver(settings, dataDir, path);
    onTestFinished(() => test.driver.close());
    await test.driver.start();
    return test;
  }

  /** Runs these files, with `run.sh` as the script. Returns the id of the deployment. */
  async deploy(
    files: Readonly<Record<string, string>> | SourceRepository,
    changes: Changes = {},
  ): Promise<string> {
    const repository = files instanceof SourceRepository ? files : new SourceRepository();
    if (!(files instanceof SourceRepository)) repository.commit(files);
    const id = `d${++this.#deployments}-${changes.service ?? 'app'}`;
    this.driver.deploy(await deployment(id, repository, changes));
    return id;
  }

  replicas(id: string): readonly DeployedReplica[] {
    return this.driver.state(id)?.replicas ?? [];
  }

  /** Resolves to the origins once exactly so many replicas are ready. */
  async ready(id: string, count = 1): Promise<string[]> {
    await until(() => {
      const ready = this.replicas(id).filter(({ state }) => state === 'ready');
      expect(ready, JSON.stringify(this.told.slice(-3))).toHaveLength(count);
    });
    return this.replicas(id).flatMap(({ state, origin }) => (state === 'ready' ? [origin!] : []));
  }

  /** Resolves to the event of this kind, the `count`th one. */
  async event(kind: string, count = 1): Promise<Told> {
    await until(() =>
      expect(this.ofKind(kind).length, JSON.stringify(this.told)).toBeGreaterThanOrEqual(count),
    );
    return this.ofKind(kind)[count - 1]!;
  }

  ofKind(kind: string): Told[] {
    return this.told.filter((event) => event.kind === kind);
  }

  async lines(service = 'app', query: { tail?: number; replica?: string } = {}): Promise<string[]> {
    const { tail = null, replica = null } = query;
    const { signal } = new AbortController();
    const lines: string[] = [];
    for await (const line of this.driver.logs(service, {
      tail,
      replica,
      follow: false,
      signal,
      over: signal,
    }))
      lines.push(line);
    return lines;
  }
}

/** Waits as long as a slow machine needs. */
export function until(check: () => unknown): Promise<void> {
  return vi.waitFor(
    async () => {
      await check();
    },
    { timeout: 25_000, interval: 20 },
  );
}

export async function get(url: string): Promise<string> {
  const response = await fetch(url, { headers: { connection: 'close' } });
  return response.text();
}
