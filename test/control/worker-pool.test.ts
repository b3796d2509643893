import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { expect, onTestFinished, test, vi } from 'vitest';

import type { Snapshot } from '../../src/contracts/snapshot.ts';
import { ConcurrencyLedger, RateLedger } from '../../src/control/limits.ts';
import { type RealmQuestions, type ServiceQuestions, WorkerPool } from '../../src/control/worker-pool.ts';
import { childrenOf, runs, signal, until } from '../app/serve-process.ts';
import { gatewaySettings, issueToken, realmSnapshot, route } from '../support/gateway.ts';

interface Logged {
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

interface Started {
  readonly pool: WorkerPool;
  readonly places: ConcurrencyLedger;
  readonly logged: Logged[];
  readonly port: number;
  /** Process ids of the workers. */
  readonly pids: () => number[];
}

const NO_REALM: RealmQuestions = {
  refreshKeys: () => Promise.resolve(),
  introspect: () => Promise.resolve(null),
  backchannelLogout: () => Promise.resolve(false),
};

const NO_SERVICE: ServiceQuestions = { awaitUpstream: () => Promise.resolve(false) };

function snapshot(changes: Partial<Snapshot> = {}): Snapshot {
  return {
    gateway: gatewaySettings(),
    routes: [],
    services: [],
    realms: [realmSnapshot()],
    unhealthy: [],
    ...changes,
  };
}

async function start(
  size: number,
  first: Snapshot = snapshot(),
  questions: RealmQuestions = NO_REALM,
  services: ServiceQuestions = NO_SERVICE,
): Promise<Started> {
  const before = new Set(childrenOf(process.pid));
  const logged: Logged[] = [];
  const note = (fields: object, message: string): void =>
    void logged.push({ fields: fields as Record<string, unknown>, message });
  const places = new ConcurrencyLedger();
  const pool = new WorkerPool({
    questions,
    services,
    rates: new RateLedger(),
    places,
    log: { info: note, warn: note, error: note },
    output: { pretty: false, level: 'warn' },
  });
  onTestFinished(() => pool.kill());
  const port = await pool.bind({ host: '127.0.0.1', port: 0 });
  pool.fork(size);
  await pool.start(first);
  return {
    pool,
    places,
    logged,
    port,
    pids: () => childrenOf(process.pid).filter((pid) => !before.has(pid)),
  };
}

async function startOrigin(answer: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    answer(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A request on a connection of its own. */
async function ask(port: number, headers: Record<string, string> = {}, path = '/hello'): Promise<number> {
  const request = httpRequest({ host: '127.0.0.1', port, path, agent: false, headers });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  await text(response);
  return response.statusCode!;
}

test('a worker that is busy is published only the newest of what came meanwhile', async () => {
  const origin = await startOrigin((response) => response.end('ok'));
  const { pool, port, pids } = await start(1);
  const [pid] = pids();

  // Stopped, it reads nothing: the channel fills, and what is published waits in the primary.
  signal(pid!, 'SIGSTOP');
  const many = Array.from({ length: 2_000 }, (_, i) =>
    route({ name: `r${i}`, endpoint: `/r${i}`, upstream: [origin] }),
  );
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 200; i++) pool.publish({ routes: many });
  pool.publish({ routes: [route({ public: true, upstream: [origin] })] });
  // 200 of them would be 100 MB of text.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000_000);
  signal(pid!, 'SIGCONT');

  await until(async () => (await ask(port)) === 200);
});

test('a worker that started while something was published serves by it', async () => {
  const origin = await startOrigin((response) => response.end('ok'));
  const { pool, port, pids } = await start(1);
  const [pid] = pids();

  signal(pid!, 'SIGKILL');
  pool.publish({ routes: [route({ public: true, upstream: [origin] })] });

  await until(() => !runs(pid!));
  await until(async () => (await ask(port)) === 200);
});

test('the places of a worker that died are free again', async () => {
  const origin = await startOrigin(() => undefined); // never answers
  const limit = { rate: null, perIdentity: false, concurrency: 1 };
  const { places, port, pids, logged } = await start(
    1,
    snapshot({ routes: [route({ public: true, upstream: [origin], limit })] }),
  );
  const lost = ask(port).catch(() => 'lost');
  await until(() => !places.enter(0, 'route:hello', 1) || (places.leave(0, 'route:hello'), false));

  signal(pids()[0]!, 'SIGKILL');

  expect(await lost).toBe('lost');
  await until(() => logged.some(({ fields }) => fields['event'] === 'worker-died'));
  expect(places.enter(0, 'route:hello', 1)).toBe(true);
});

test('a question that fails in the primary is answered, and the worker goes on', async () => {
  const origin = await startOrigin((response) => response.end('ok'));
  const { port } = await start(
    1,
    snapshot({
      routes: [route({ upstream: [origin] })],
      realms: [realmSnapshot({}, { introspectionCache: 1000 })],
    }),
    { ...NO_REALM, introspect: () => Promise.reject(new Error('the realm is away')) },
  );

  expect(await ask(port, { authorization: 'Bearer opaque-token' })).toBeGreaterThanOrEqual(500);
  expect(await ask(port, { authorization: `Bearer ${await issueToken()}` })).toBe(200);
});

test('counters are those of the moment, from every worker', async () => {
  const origin = await startOrigin((response) => response.end('ok'));
  const { pool, port } = await start(2, snapshot({ routes: [route({ public: true, upstream: [origin] })] }));
  for (let i = 0; i < 5; i++) await ask(port);

  // At the same time: the answer to one is not taken for the answer of the other worker.
  await Promise.all([pool.collect(10_000), pool.collect(10_000), pool.collect(10_000)]);

  const requests = pool.totals
    .reports()
    .flat()
    .filter(({ name }) => name === 'realmgate_requests_total')
    .flatMap(({ values }) => values);
  expect(requests.reduce((sum, { value }) => sum + value, 0)).toBe(5);
});

test('collecting counters does not wait for a worker that died', async () => {
  const { pool, pids } = await start(1);
  signal(pids()[0]!, 'SIGSTOP');

  const collected = pool.collect(600_000);
  signal(pids()[0]!, 'SIGKILL');

  await collected;
});

test('a certificate that a worker cannot use ends the start', async () => {
  const tls = { cert: 'no certificate', key: 'no key' };

  await expect(start(1, snapshot({ gateway: gatewaySettings({ tls }) }))).rejects.toThrow(/PEM/);
});

test('a stop that lasts too long is ended by force', async () => {
  const origin = await startOrigin(() => undefined); // never answers
  const { pool, port, pids } = await start(
    1,
    snapshot({ routes: [route({ public: true, upstream: [origin] })] }),
  );
  const lost = ask(port).catch(() => 'lost');
  await until(async () => {
    await pool.collect(10_000);
    return pool.totals
      .reports()
      .flat()
      .some(({ name, values }) => name === 'realmgate_requests_in_flight' && values[0]?.value === 1);
  });
  const [pid] = pids();

  await pool.stop(200);

  expect(runs(pid!)).toBe(false);
  expect(await lost).toBe('lost');
});

/** A service that starts when somebody asks for it, as the registry would do. */
function startedByRequest() {
  const asked: { readonly route: string; readonly refused: string | null; readonly signal: AbortSignal }[] =
    [];
  let answer: (ready: boolean) => void = () => undefined;
  const services: ServiceQuestions = {
    awaitUpstream: (name, refused, signal) => {
      asked.push({ route: name, refused, signal });
      return new Promise((resolve) => (answer = resolve));
    },
  };
  return { services, asked, answer: (ready: boolean) => answer(ready) };
}

const service = (upstream: readonly string[]) => route({ public: true, holdFor: 60_000, upstream });

test('a request waits for its service, counted, and what was published for it comes before the answer', async () => {
  const origin = await startOrigin((response) => response.end('ok'));
  const { services, asked, answer } = startedByRequest();
  const { pool, port, pids } = await start(1, snapshot({ services: [service([])] }), NO_REALM, services);

  const status = ask(port);
  await vi.waitFor(() => expect(asked).toHaveLength(1));
  expect(asked).toMatchObject([{ route: 'hello', refused: null }]);
  expect([...pool.waiting()]).toEqual([['hello', 1]]);
  // Stopped, the worker reads nothing: what is published waits in the primary, and the answer behind it.
  signal(pids()[0]!, 'SIGSTOP');
  const many = Array.from({ length: 2_000 }, (_, i) =>
    route({ name: `r${i}`, endpoint: `/r${i}`, upstream: [origin] }),
  );
  for (let i = 0; i < 5; i++) pool.publish({ routes: many });
  pool.publish({ services: [service([origin])] });
  answer(true);
  await vi.waitFor(() => expect(pool.waiting().size).toBe(0));
  signal(pids()[0]!, 'SIGCONT');

  expect(await status).toBe(200);
});

test('a client that leaves while it waits is no longer counted', async () => {
  const { services, asked } = startedByRequest();
  const { pool, port } = await start(1, snapshot({ services: [service([])] }), NO_REALM, services);
  const request = httpRequest({ host: '127.0.0.1', port, path: '/hello', agent: false });
  request.on('error', () => undefined).end();
  await vi.waitFor(() => expect(pool.waiting().get('hello')).toBe(1));

  request.destroy();

  await vi.waitFor(() => expect(pool.waiting().size).toBe(0));
  expect(asked[0]!.signal.aborted).toBe(true);
});

test('those who wait in a worker that dies are no longer counted', async () => {
  const { services, asked } = startedByRequest();
  const { pool, port, pids } = await start(1, snapshot({ services: [service([])] }), NO_REALM, services);
  const lost = [ask(port), ask(port)].map((status) => status.catch(() => 'lost'));
  await vi.waitFor(() => expect(pool.waiting().get('hello')).toBe(2));

  signal(pids()[0]!, 'SIGKILL');

  expect(await Promise.all(lost)).toEqual(['lost', 'lost']);
  await vi.waitFor(() => expect(pool.waiting().size).toBe(0));
  expect(asked.every((one) => one.signal.aborted)).toBe(true);
});

test('the load of a withdrawn replica is told until its last request has ended', async () => {
  const open: ServerResponse[] = [];
  const old = await startOrigin((response) => void open.push(response));
  const successor = await startOrigin((response) => response.end('ok'));
  const { pool, port } = await start(2, snapshot({ services: [service([old])] }));
  const slow = [ask(port), ask(port), ask(port)];
  await vi.waitFor(() => expect(open).toHaveLength(3));
  expect([...(await pool.load())]).toEqual([[old, { outstanding: 3, started: 3 }]]);

  pool.publish({ services: [service([successor])] });
  const load = await pool.load();
  expect(load.get(old)).toEqual({ outstanding: 3, started: 3 });
  expect(load.get(successor)).toEqual({ outstanding: 0, started: 0 });
  expect(await ask(port)).toBe(200);
  for (const response of open) response.end('ok');
  expect(await Promise.all(slow)).toEqual([200, 200, 200]);

  await vi.waitFor(async () => expect([...(await pool.load()).keys()]).toEqual([successor]));
  expect((await pool.load()).get(successor)).toEqual({ outstanding: 0, started: 1 });
});

test('the load of a worker that died counts no more, and that of one that is stuck is what it was', async () => {
  const open: ServerResponse[] = [];
  const origin = await startOrigin((response) => void open.push(response));
  const { pool, port, pids } = await start(1, snapshot({ services: [service([origin])] }));
  const lost = ask(port).catch(() => 'lost');
  await vi.waitFor(() => expect(open).toHaveLength(1));
  expect((await pool.load()).get(origin)?.outstanding).toBe(1);

  signal(pids()[0]!, 'SIGSTOP');
  expect((await pool.load()).get(origin)?.outstanding).toBe(1);
  const load = pool.load();
  signal(pids()[0]!, 'SIGKILL');

  expect([...(await load)]).toEqual([]);
  expect(await lost).toBe('lost');
});

test('a worker explains a request; where none serves, that is said', async () => {
  const { pool } = await start(1, snapshot({ services: [service(['http://127.0.0.1:9'])] }));
  const question = { token: null, method: 'GET', path: '/hello', headers: {} };
  expect(await pool.explain(question)).toMatchObject({ allowed: true, status: 200, code: null });
  expect(await pool.explain({ ...question, path: '/hello//' })).toMatchObject({ code: 'ambiguous_path' });

  await pool.stop(5_000);

  await expect(pool.explain(question)).rejects.toMatchObject({ code: 'service_unavailable' });
});
