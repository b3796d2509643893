import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ServiceRevision, ServiceView } from '../../src/contracts/service.ts';
import { SourceRepository } from '../control/git/source-repository.ts';
import { portRange } from '../support/free-port.ts';
import { RealmServer } from './realm-server.ts';
import { runs, serve, type ServeProcess, signal, temporaryFolder, until } from './serve-process.ts';

const ROUNDS = 20;

/** Longest time from an order to the kill, in ms: some orders are done by then, most are not. */
const LONGEST = 700;

const PROGRAM = `
import { createServer } from 'node:http';
const { SERVICE_NAME: name, VERSION: version, PORT } = process.env;
createServer((_request, response) => response.end(JSON.stringify({ name, version }))).listen(PORT, '127.0.0.1');
`;

type Api = (method: string, path: string, body?: object) => Promise<Response>;

/** What was asked for and answered; `doubt`: an order that a kill may have come before or after. */
interface Expected {
  readonly versions: Map<string, string>;
  doubt: {
    readonly kind: 'create' | 'update' | 'cancel';
    readonly name: string;
    readonly version: string;
  } | null;
}

/** Names of the services whose program runs, one for each process. */
function running(folder: string): string[] {
  const programs = readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === 'node\0server.mjs\0' && runs(Number(pid));
    } catch {
      return false;
    }
  });
  return programs.flatMap((pid) => {
    try {
      const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      if (!variables.includes(`MARK=${folder}`)) return [];
      return variables.filter((text) => text.startsWith('SERVICE_NAME=')).map((text) => text.slice(13));
    } catch {
      return [];
    }
  });
}

test('20 times kill -9 in the middle of orders: each start goes on where it was, nothing runs twice, nothing is lost', async () => {
  const realm = await RealmServer.start();
  const folder = temporaryFolder();
  const repository = new SourceRepository();
  repository.commit({ 'server.mjs': PROGRAM, 'run.sh': 'exec node server.mjs\n' });
  const git = { repository: repository.url };
  const config = { realms: [realm.settings], services: { local: { portRange: await portRange(60) } } };
  const headers = {
    authorization: `Bearer ${await realm.token({ realm_access: { roles: ['realmgate-admin'] }, exp: Math.floor(Date.now() / 1000) + 3600 })}`,
    'content-type': 'application/json',
  };
  const expected: Expected = { versions: new Map(), doubt: null };
  let lastVersion = 0;

  for (let round = 0; round <= ROUNDS; round++) {
    const { process, gateway, admin } = await serve(config, { folder });
    const api: Api = (method, path, body) =>
      fetch(`${admin}/api/v1${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    const list = async (): Promise<ServiceView[]> => {
      const answer = (await (await api('GET', '/services')).json()) as { items: ServiceView[] };
      return answer.items.filter(({ status }) => status !== 'cancelled');
    };

    // Everything that was answered is there, and the order in doubt was taken whole or not at all.
    await settle(expected, await list(), api, gateway, headers);
    await until(async () => (await list()).every(({ status }) => status === 'running'));
    // A roll-out that was interrupted is finished; then each program runs once.
    await until(() => String(running(folder).sort()) === String([...expected.versions.keys()].sort()));
    if (round === ROUNDS) {
      expect(await process.stop()).toEqual({ code: 0, signal: null });
      expect(running(folder)).toEqual([]);
      break;
    }

    const order = nextOrder(expected.versions, String(++lastVersion));
    const { kind, name, version } = order;
    const asking = (
      kind === 'create'
        ? api('POST', '/services', {
            name,
            endpoint: `/${name}`,
            path: 'run.sh',
            git,
            parameters: { version, mark: folder },
          })
        : kind === 'update'
          ? api('PATCH', `/services/${name}`, { parameters: { version } })
          : api('POST', `/services/${name}/${kind}`)
    ).then(
      (answer) => answer.status,
      () => 0,
    );
    const status = await Promise.race([asking, delay(randomInt(LONGEST)).then(() => 0)]);
    expect([0, 200, 201], `${kind} ${name}`).toContain(status);
    if (kind !== 'restart') {
      expected.doubt = { kind, name, version };
      if (status !== 0) apply(expected);
    }
    kill(process);
    await process.exited;
  }
}, 300_000);

function nextOrder(versions: ReadonlyMap<string, string>, version: string) {
  const names = [...versions.keys()];
  const kinds = ['create', 'update', 'restart', 'cancel'] as const;
  const kind = names.length < 2 ? 'create' : names.length > 4 ? 'cancel' : kinds[randomInt(kinds.length)]!;
  return { kind, version, name: kind === 'create' ? `s${version}` : names[randomInt(names.length)]! };
}

/** The whole of Realmgate at once. Its services' programs are not among them. */
function kill(process: ServeProcess): void {
  const workers = process.workers();
  process.kill('SIGKILL');
  for (const worker of workers) signal(worker, 'SIGKILL');
}

function apply(expected: Expected): void {
  const { kind, name, version } = expected.doubt!;
  if (kind === 'cancel') expected.versions.delete(name);
  else expected.versions.set(name, version);
  expected.doubt = null;
}

/** Finds out what became of the order in doubt; everything else has to be as it was answered. */
async function settle(
  expected: Expected,
  services: readonly ServiceView[],
  api: Api,
  gateway: string,
  headers: Record<string, string>,
): Promise<void> {
  const { doubt } = expected;
  if (doubt !== null) {
    const found = services.find(({ name }) => name === doubt.name);
    const taken =
      doubt.kind === 'cancel'
        ? found === undefined
        : doubt.kind === 'create'
          ? found !== undefined
          : await updated(api, doubt);
    if (taken) apply(expected);
    expected.doubt = null;
  }
  expect(new Map(services.map(({ name }) => [name, true]))).toEqual(
    new Map([...expected.versions.keys()].map((name) => [name, true])),
  );
  for (const [name, version] of expected.versions) {
    const answer = await fetch(`${gateway}/${name}`, { headers });
    expect(await answer.json(), name).toEqual({ name, version });
  }
}

/** Whether the update was written down; then it is rolled out after the start, and in force when this resolves. */
async function updated(api: Api, { name, version }: { name: string; version: string }): Promise<boolean> {
  const written = async (): Promise<ServiceRevision | undefined> => {
    const { items } = (await (await api('GET', `/services/${name}/revisions`)).json()) as {
      items: ServiceRevision[];
    };
    return items.find(({ spec }) => spec.parameters['version'] === version);
  };
  if ((await written()) === undefined) return false;
  await until(async () => (await written())?.state === 'active');
  return true;
}
