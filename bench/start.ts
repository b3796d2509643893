/**
 * Milliseconds from starting `serve` until its first authenticated 200, each run in a fresh data folder, with the
 * embedded realm and the example service: `node bench/start.ts [RUNS]`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface Run {
  readonly listening: number;
  readonly authenticated: number;
}

async function main(runs: number): Promise<void> {
  const results: Run[] = [];
  for (let i = 0; i < runs; i++) results.push(await measure());
  for (const phase of ['listening', 'authenticated'] as const) {
    const sorted = results.map((run) => Math.round(run[phase])).sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)];
    process.stdout.write(`${phase.padEnd(14)} median ${median} ms of ${sorted.join(', ')}\n`);
  }
}

async function measure(): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'realmgate-start-'));
  const [gateway, admin, realm, example] = await freePorts(4);
  const config = join(folder, 'realmgate.yaml');
  await writeFile(
    config,
    JSON.stringify({
      dataDir: join(folder, 'data'),
      gateway: { listen: `127.0.0.1:${gateway}`, workers: 1 },
      admin: { listen: `127.0.0.1:${admin}`, realm: 'demo' },
      embeddedRealm: {
        listen: `127.0.0.1:${realm}`,
        name: 'demo',
        users: [{ username: 'alice', password: 'alice', roles: [] }],
      },
      routes: [{ name: 'hello', endpoint: '/hello', upstream: [`http://127.0.0.1:${example}`] }],
      example: { directory: join(ROOT, 'config/examples/hello'), port: example },
    }),
  );
  const started = performance.now();
  const child = spawn(process.execPath, [join(ROOT, 'src/launch.js'), 'serve', '--config', config], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    await logged(child, 'listening');
    const listening = performance.now() - started;
    const url = `http://127.0.0.1:${gateway}`;
    const answer = await fetch(`${url}/auth/realms/demo/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'password',
        client_id: 'istio',
        username: 'alice',
        password: 'alice',
      }),
    });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    const { status } = await fetch(`${url}/hello`, { headers: { authorization: `Bearer ${token}` } });
    if (status !== 200) throw new Error(`the service answered ${status}`);
    return { listening, authenticated: performance.now() - started };
  } finally {
    child.kill('SIGTERM');
    await once(child, 'exit');
    await rm(folder, { recursive: true });
  }
}

async function logged(child: ChildProcess, event: string): Promise<void> {
  for await (const line of createInterface({ input: child.stdout! })) {
    if ((JSON.parse(line) as { event?: string }).event === event) {
      child.stdout!.resume();
      return;
    }
  }
  throw new Error('serve ended before it was listening');
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

await main(Number(process.argv[2] ?? 5));
