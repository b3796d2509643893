import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { createLocalJWKSet, jwtVerify } from 'jose';
import { describe, expect, onTestFinished, test } from 'vitest';

import { CONTENDERS } from '../../bench/contenders/all.ts';
import { CASES } from '../../bench/peers/cases.ts';
import { coldTokens } from '../../bench/peers/cold-tokens.ts';
import { faultsOf } from '../../bench/peers/correctness.ts';
import { faultOf, type Measurement } from '../../bench/peers/measure.ts';
import { rowsOf, tableOf } from '../../bench/peers/rows.ts';
import { prepareWorkloads } from '../../bench/peers/workloads.ts';
import { findProgram } from '../../bench/support/find-program.ts';
import { HOSTILE_KINDS, hostileTokens } from '../../bench/support/hostile-tokens.ts';
import { parseLoadResult, readTokens, runLoad, type LoadJob } from '../../bench/support/load.ts';
import { coreTime, cpuTime, descendants } from '../../bench/support/proc.ts';
import { topFunctions } from '../../bench/support/profile.ts';
import { publishRealm } from '../../bench/support/realm.ts';
import { ALGORITHMS, newSigningKey, signMany } from '../../bench/support/tokens.ts';
import { startUpstream } from '../../bench/support/upstream.ts';
import { ANSWER, STREAM_BYTES } from '../../bench/support/upstream-server.ts';
import { Workspace } from '../../bench/support/workspace.ts';

const ISSUER = 'http://realm.test/auth/realms/bench';
const linux = existsSync('/proc/self/stat');

function workspace(): Workspace {
  const made = new Workspace();
  onTestFinished(() => made.close());
  return made;
}

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('tokens', () => {
  test.each(ALGORITHMS)('%s: distinct, good by the published key', async (algorithm) => {
    const key = await newSigningKey(algorithm);
    const tokens = await signMany(key, ISSUER, 70);

    expect(new Set(tokens).size).toBe(70);
    const keys = createLocalJWKSet({ keys: [key.jwk] });
    await jwtVerify(tokens[69]!, keys, { issuer: ISSUER, audience: 'account' });
  });

  test('with RS256 they have the size of Keycloak’s', async () => {
    const [token] = await signMany(await newSigningKey('RS256'), ISSUER, 1);

    expect(token!.length).toBeGreaterThan(1_100);
    expect(token!.length).toBeLessThan(1_500);
  });

  test.each(HOSTILE_KINDS)('none of the kind %s is good', async (kind) => {
    const key = await newSigningKey('RS256');
    const tokens = await hostileTokens(kind, key, ISSUER, 16);
    const keys = createLocalJWKSet({ keys: [key.jwk] });

    expect(new Set(tokens).size).toBe(16);
    for (const token of tokens) {
      await expect(jwtVerify(token, keys, { issuer: ISSUER, algorithms: ['RS256'] })).rejects.toThrow();
      expect(token).toMatch(/^[\w.-]+$/);
    }
  });

  test('many new ones are kept for the next run, for the same issuer only', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'realmgate-cold-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const first = await coldTokens('ES256', ISSUER, 20, folder);
    const again = await coldTokens('ES256', ISSUER, 20, folder);
    const other = await coldTokens('ES256', `${ISSUER}/other`, 20, folder);

    expect(again.tokens).toEqual(first.tokens);
    expect(other.tokens).not.toEqual(first.tokens);
    expect(statSync(join(folder, 'cold-ES256.json')).mode & 0o077).toBe(0);
    await jwtVerify(again.tokens[0]!, createLocalJWKSet({ keys: [again.key.jwk] }));
    expect(again.key.pem).toBe(first.key.pem);
  });
});

describe('publishRealm', () => {
  test('serves discovery and keys as they are at that moment', async () => {
    const key = await newSigningKey('ES256');
    const keys = [key.jwk];
    const realm = await publishRealm({ port: 0, issuer: ISSUER, keys: () => keys });
    onTestFinished(() => realm.close());
    const json = async (url: string): Promise<Record<string, unknown>> =>
      (await (await fetch(url)).json()) as Record<string, unknown>;

    const document = await json(`${realm.url}/.well-known/openid-configuration`);
    expect(document['issuer']).toBe(ISSUER);
    expect(await json(String(document['jwks_uri']))).toEqual({ keys: [key.jwk] });
    keys.pop();
    expect(await json(String(document['jwks_uri']))).toEqual({ keys: [] });
  });
});

describe('the service behind the contenders', () => {
  const kinds = findProgram('nginx') === null ? (['node'] as const) : (['node', 'nginx'] as const);

  test.each(kinds)('%s answers 300 bytes, downloads, and takes whole uploads', async (kind) => {
    const { origin } = await startUpstream(workspace(), null, kind);

    const small = await fetch(`${origin}/items/42`);
    expect(await small.text()).toBe(ANSWER);
    expect(ANSWER).toHaveLength(300);
    const download = await fetch(`${origin}/download`);
    expect((await download.arrayBuffer()).byteLength).toBe(STREAM_BYTES);
    const upload = await fetch(`${origin}/upload`, { method: 'POST', body: Buffer.alloc(STREAM_BYTES) });
    expect(await upload.text()).toBe(ANSWER);
  });
});

describe('the load', () => {
  const programs = findProgram('wrk') === null ? (['autocannon'] as const) : (['autocannon', 'wrk'] as const);

  function job(made: Workspace, port: number, changes: Partial<LoadJob>): LoadJob {
    const tokenFile = join(made.folder, 'tokens');
    writeFileSync(tokenFile, Array.from({ length: 200 }, (_, i) => `token-${i}\n`).join(''));
    return {
      ...{ url: `http://127.0.0.1:${port}/api`, tokenFile, method: 'GET', bodyBytes: 0 },
      ...{ connections: 4, seconds: 1, requests: 0, ...changes },
    };
  }

  test.each(programs)('%s sends all tokens in turn until the time is over', async (kind) => {
    const seen = new Map<string, number>();
    const port = await serve((request, response) => {
      const token = request.headers.authorization ?? '';
      seen.set(token, (seen.get(token) ?? 0) + 1);
      response.end('ok');
    });
    const made = workspace();
    const result = await runLoad(made, null, job(made, port, {}), kind);

    expect(result.errors).toBe(0);
    expect(result.refused).toBe(0);
    expect(result.requests).toBeGreaterThan(200);
    expect(result.latency.max).toBeGreaterThanOrEqual(result.latency.p50);
    expect(seen.size).toBe(200);
    expect([...seen.keys()].every((token) => /^Bearer token-\d+$/.test(token))).toBe(true);
  });

  test.each(programs)('%s sends each token about once when told so', async (kind) => {
    const seen = new Set<string>();
    const port = await serve((request, response) => {
      seen.add(request.headers.authorization ?? '');
      response.end('ok');
    });
    const made = workspace();
    const result = await runLoad(made, null, job(made, port, { seconds: 60, requests: 200 }), kind);

    expect(result.requests).toBeGreaterThan(190);
    // Requests that were under way at the end may have brought the first few again.
    expect(result.requests).toBeLessThanOrEqual(204);
    expect(seen.size).toBeGreaterThan(190);
  });

  test.each(programs)('%s sends bodies and counts refusals', async (kind) => {
    let wrongBodies = 0;
    const port = await serve((request, response) => {
      let bytes = 0;
      request.on('data', (piece: Buffer) => (bytes += piece.length));
      request.on('end', () => {
        if (bytes !== 5_000 || request.method !== 'POST') wrongBodies++;
        response.writeHead(401).end();
      });
    });
    const made = workspace();
    const upload = job(made, port, { method: 'POST', bodyBytes: 5_000 });
    const result = await runLoad(made, null, upload, kind);

    expect(result.requests).toBeGreaterThan(0);
    expect(result.refused).toBe(result.requests);
    expect(wrongBodies).toBe(0);
  });

  test('a program that says nothing is no result', () => {
    expect(parseLoadResult(['Running 1s test', 'Requests/sec: 5'])).toBe(null);
  });
});

describe('faults of a measurement', () => {
  const load = {
    ...{ requests: 100, seconds: 1, bytes: 0, refused: 0, errors: 0 },
    latency: { p50: 1, p90: 1, p99: 1, max: 1 },
  };

  test.each([
    ['nothing answered', { ...load, requests: 0 }, 'answered'],
    ['a broken connection', { ...load, errors: 1 }, 'answered'],
    ['a refused good token', { ...load, refused: 1 }, 'answered'],
    ['a hostile token that was let through', { ...load, refused: 99 }, 'refused'],
  ] as const)('%s is one', (_, result, expected) => {
    expect(faultOf(result, expected)).not.toBe(null);
  });

  test('everything as expected is none', () => {
    expect(faultOf(load, 'answered')).toBe(null);
    expect(faultOf({ ...load, refused: 100 }, 'refused')).toBe(null);
  });
});

describe('the proof of correctness', () => {
  test('names everything that a gateway without checks lets in', async () => {
    const key = await newSigningKey('RS256');
    const port = await serve((_request, response) => response.end(ANSWER));

    const faults = await faultsOf(port, true, key, ISSUER);
    for (const kind of HOSTILE_KINDS) expect(faults).toContain(`a token of the kind ${kind} gets 200`);
    expect(faults).toContain('no token gets 200');
    expect(await faultsOf(port, false, key, ISSUER)).toEqual([]);
  });

  test('compares the answer with the service’s', async () => {
    const port = await serve((_request, response) => response.end(ANSWER.replace('end', 'End')));

    expect(await faultsOf(port, false, await newSigningKey('ES256'), ISSUER)).toHaveLength(1);
  });
});

describe('workloads', () => {
  test.each(['known', 'hostile', 'stream'] as const)(
    '%s: every file holds as many tokens as it says',
    async (name) => {
      const made = workspace();
      const key = await newSigningKey('ES256');

      for (const { tokenFile, tokens } of await prepareWorkloads(name, made, key, ISSUER, null)) {
        expect(new Set(await readTokens(tokenFile)).size).toBe(tokens);
      }
    },
  );
});

describe('the report', () => {
  const measured = (contender: string, microseconds: number): Measurement => ({
    ...{ contender, workload: 'known tokens', fault: null },
    load: {
      ...{ requests: 1_000, seconds: 2, bytes: 0, refused: 0, errors: 0 },
      latency: { p50: 1_000, p90: 2_000, p99: 3_000, max: 4_000 },
    },
    cpu: { user: microseconds * 750, system: microseconds * 250 },
    others: { user: 1_000, system: 1_000 },
  });
  const moves = new Map([['known tokens', null]]);

  test('gives the median per request and the ratio to the reference', () => {
    const rounds = [30, 90, 40].map((value) => measured('realmgate', value));
    const [row] = rowsOf([...rounds, measured('envoy', 80)], moves, 'envoy');

    expect(row).toMatchObject({
      ...{ cpu: 40, user: 30, system: 10, lowest: 30, highest: 90, others: 2, ratio: 0.5 },
      ...{ requestsPerSecond: 500, p99: 3_000, megabytesPerCpuSecond: null },
    });
  });

  test('says MB per CPU second of streams', () => {
    const [row] = rowsOf([measured('envoy', 1_000)], new Map([['known tokens', 1_000_000]]), 'envoy');

    expect(row!.megabytesPerCpuSecond).toBe(1_000);
  });

  test('is a table with one line for each contender and workload', () => {
    const lines = tableOf(rowsOf([measured('realmgate', 40)], moves, 'envoy'), 'envoy').split('\n');

    expect(lines).toHaveLength(3);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  });
});

describe('topFunctions', () => {
  test('adds up the time of a function in all places it was called from, without idle time', () => {
    const node = (id: number, functionName: string, url = '', lineNumber = 0) => ({
      id,
      callFrame: { functionName, url, lineNumber },
    });
    const profile = {
      nodes: [
        node(1, '(idle)'),
        node(2, 'f', 'file:///x/a.ts', 9),
        node(3, 'f', 'file:///x/a.ts', 9),
        node(4, ''),
      ],
      samples: [1, 2, 3, 4],
      timeDeltas: [1_000, 20, 40, 40],
    };

    expect(topFunctions(profile, 10)).toEqual([
      { name: 'f', place: '/x/a.ts:10', share: 0.6 },
      { name: '(anonymous)', place: '', share: 0.4 },
    ]);
  });
});

describe.skipIf(!linux)('/proc', () => {
  test('cpuTime is what the process says itself', async () => {
    const made = workspace();
    const said = Promise.withResolvers<number>();
    const used = 'Object.values(process.cpuUsage()).reduce((a, b) => a + b)';
    const program = await made.start(
      process.execPath,
      ['-e', `while (${used} < 300_000); console.log(${used}); setInterval(() => {}, 1e6)`],
      { onLine: (line) => said.resolve(Number(line)) },
    );
    const least = await said.promise;
    const { user, system } = cpuTime([program.pid]);

    expect(user + system).toBeGreaterThan(least * 0.95);
    expect(user + system).toBeLessThan(least * 3);
    expect(descendants(process.pid)).toContain(program.pid);
  });

  test.skipIf(findProgram('taskset') === null)('coreTime has what a program on that core used', async () => {
    const made = workspace();
    const before = coreTime(0);
    const used = 'Object.values(process.cpuUsage()).reduce((a, b) => a + b)';
    const program = await made.start(process.execPath, ['-e', `while (${used} < 400_000);`], { core: 0 });
    await once(program.child, 'exit');

    expect(coreTime(0) - before).toBeGreaterThan(300_000);
  });

  test('cpuTime of a process that is gone throws', () => {
    expect(() => cpuTime([2 ** 22 + 1])).toThrow();
  });
});

describe('contenders', () => {
  test('each has a name of its own and says what it is or how to get it', () => {
    expect(new Set(CONTENDERS.map(({ name }) => name)).size).toBe(CONTENDERS.length);
    for (const { find } of CONTENDERS) {
      const found = find();
      expect('version' in found ? found.version : found.missing).not.toBe('');
    }
  });
});

describe('cases', () => {
  test('each has a name of one word, as git takes it for published results, and contenders that exist', () => {
    expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
    const known = CONTENDERS.map(({ name }) => name);
    for (const { name, contenders } of CASES) {
      expect(name).toMatch(/^[a-z]+$/);
      expect(contenders).not.toEqual([]);
      expect(known).toEqual(expect.arrayContaining([...contenders]));
    }
  });
});

describe.skipIf(!linux)('a contender that is installed', () => {
  const others = CONTENDERS.filter(({ name, find }) => !name.startsWith('realmgate') && 'version' in find());

  test.each(others)('$name answers rightly', async (contender) => {
    const made = workspace();
    const key = await newSigningKey('RS256');
    const { origin } = await startUpstream(made, null);
    const running = await contender.start({
      ...{ workspace: made, core: null, upstream: origin, issuer: ISSUER, realmUrl: ISSUER },
      ...{ jwk: key.jwk, pem: key.pem, tokens: 10, inspect: false },
    });

    expect(running.workers).not.toEqual([]);
    expect(await faultsOf(running.port, contender.checksTokens, key, ISSUER)).toEqual([]);
    await running.stop();
  });
});

describe.skipIf(!linux)('bench:peers', () => {
  const script = fileURLToPath(new URL('../../bench/peers.ts', import.meta.url));

  function run(...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
    return new Promise((resolve) => {
      execFile(process.execPath, [script, ...args], (error, out, err) =>
        resolve({ code: error?.code ?? 0, out, err }),
      );
    });
  }

  test('measures the real program and writes what it found', async () => {
    const out = mkdtempSync(join(tmpdir(), 'realmgate-peers-'));
    onTestFinished(() => rmSync(out, { recursive: true }));
    const args = [
      '--only',
      'realmgate',
      '--rounds',
      '1',
      '--seconds',
      '1',
      '--warmup',
      '0',
      '--connections',
      '8',
    ];
    const { code, out: table, err } = await run(...args, '--out', out);

    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
    expect(table).toMatch(/^\| realmgate +\| known tokens +\| +\d/m);
    const files = readdirSync(out).sort();
    expect(files.map((name) => name.split('.').at(-1))).toEqual(['json', 'md', 'svg']);
    const { figures } = JSON.parse(readFileSync(join(out, files[0]!), 'utf8')) as {
      figures: { figures: { value: number }[] }[];
    };
    expect(figures[0]!.figures[0]!.value).toBeGreaterThan(1);
    const published = await run(...args, '--publish', '--runs', '2', '--out', out);
    expect(published.out).toContain('| run 2 |');
    expect(readdirSync(out)).toEqual(expect.arrayContaining(['peers-known.json', 'peers-known.svg']));
  }, 120_000);

  test.each([
    [['--only', 'unheard-of']],
    [['--case', 'unheard-of']],
    [['--rounds', '0']],
    [['--profile']],
    [['--profile', '--only', 'realmgate', '--publish']],
    [['--runs', '0']],
    [['--unheard-of']],
  ])('%j is wrong usage', async (args) => {
    const { code, err } = await run(...args);

    expect(code).toBe(64);
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});
