import { setTimeout as delay } from 'node:timers/promises';
import { residentBytes } from '../support/proc.ts';
import { startRealmgate, withDefaults, type Realmgate } from '../support/realmgate.ts';
import type { Workspace } from '../support/workspace.ts';
import { Client } from './exchange.ts';
import { judgeFlatness, type FlatnessVerdict, type MemorySample } from './flatness.ts';
import { Identities } from './identities.ts';
import { Kills } from './kills.ts';
import { Losses } from './losses.ts';
import { RealmCycle, waited } from './realm-cycle.ts';
import { Reloads, type Changing } from './reloads.ts';
import { Traffic, type KindCount } from './traffic.ts';
import { startSoakUpstream } from './upstream.ts';

export interface SoakOptions {
  readonly seconds: number;
  readonly workers: number;
  /** Exchanges per second. */
  readonly rate: number;
  /** Seconds between kills, between changes of the configuration, and of one cycle of the realm. */
  readonly every: { readonly kill: number; readonly reload: number; readonly realm: number };
  /** Takes lines about the progress. */
  readonly say: (line: string) => void;
}

export interface SoakReport {
  readonly seconds: number;
  readonly counts: ReadonlyMap<string, KindCount>;
  readonly kills: number;
  readonly reloads: { readonly applied: number; readonly refused: number };
  readonly realm: { readonly starts: number; readonly rotations: number };
  readonly memory: ReadonlyMap<string, FlatnessVerdict>;
  /** Everything that was not as it has to be, the first of them in full. */
  readonly wrong: readonly string[];
  readonly wrongCount: number;
}

const ISSUER = 'http://realm.bench/auth/realms/bench';

/** Exchanges, and connections for them, at a time; and WebSockets beside them. */
const LANES = 24;
const LONG_SOCKETS = 4;

const SAMPLE_EVERY = 5_000;

/** What is told of many faults. */
const WRONG_KEPT = 50;

/** How much longer than asked for a run may take, in ms, before it is given up. */
const OVERTIME = 60_000;

/**
 * Runs the whole program under constant load while its workers are killed, its configuration changes and its realm
 * comes and goes. Everything happens on 127.0.0.1.
 */
export async function soak(workspace: Workspace, options: SoakOptions): Promise<SoakReport> {
  const { seconds, workers, rate, every, say } = options;
  const wrong: string[] = [];
  let wrongCount = 0;
  const note = (what: string): void => {
    wrongCount++;
    if (wrong.length >= WRONG_KEPT) return;
    wrong.push(what);
    say(`WRONG: ${what}`);
  };

  const [one, two] = await Promise.all([startSoakUpstream('one'), startSoakUpstream('two')]);
  const realm = new RealmCycle({ workspace, issuer: ISSUER, every: every.realm, wrong: note });
  await realm.start();
  const configOf = (changing: Changing): Record<string, unknown> =>
    withDefaults(workspace, 'soak', config(workers, realm.url, one.origin, two.origin, changing));
  const reloads = new Reloads({ configOf, every: every.reload, wrong: note });
  const realmgate = await startRealmgate(workspace, 'soak', {
    config: configOf(reloads.changing.latest),
    onLog: (line, event) => {
      reloads.event(event);
      // Every token of the soak begins like this.
      if (line.includes('eyJ')) note('a token stands in the log');
      if (line.includes('"level":"error"') && event !== 'reload-refused') note(`logged as an error: ${line}`);
    },
  });
  const losses = new Losses();
  const kills = new Kills({ realmgate, workers, every: every.kill, losses, wrong: note });
  const client = new Client(Number(new URL(realmgate.gatewayUrl).port), LANES);
  const context = { client, identities: new Identities(ISSUER, realm), changing: reloads.changing };
  const traffic = new Traffic({
    ...{ context, losses, rate, lanes: LANES, longSockets: LONG_SOCKETS, wrong: note },
  });
  const memory = new Map<string, MemorySample[]>();

  const stop = new AbortController();
  const started = performance.now();
  const parts = [
    traffic.run(stop.signal),
    kills.run(stop.signal),
    reloads.run(realmgate.configFile, stop.signal),
    realm.run(stop.signal),
    watchMemory(realmgate, memory, stop.signal, started),
    tell(traffic, say, stop.signal),
  ];
  const all = Promise.all(parts);
  await Promise.race([all, delay(seconds * 1000)]);
  stop.abort();
  await Promise.race([
    all,
    delay(OVERTIME, undefined, { ref: false }).then(() =>
      note(`something did not end within ${OVERTIME} ms`),
    ),
  ]);
  client.close();
  const ran = (performance.now() - started) / 1000;
  const exitCode = await realmgate.stop();
  if (exitCode !== 0) note(`serve ended with ${String(exitCode)} instead of 0 after SIGTERM`);
  await Promise.all([one.close(), two.close()]);

  const verdicts = new Map([...memory].map(([name, samples]) => [name, judgeFlatness(samples, ran / 3)]));
  for (const [name, { flat, growth }] of verdicts) {
    if (flat === false) note(`memory of the ${name} grew by ${(growth / 2 ** 20).toFixed(0)} MiB`);
  }
  return {
    seconds: ran,
    counts: traffic.counts,
    kills: kills.count,
    reloads: { applied: reloads.applied, refused: reloads.refused },
    realm: { starts: realm.starts, rotations: realm.rotations },
    memory: verdicts,
    ...{ wrong, wrongCount },
  };
}

function config(
  workers: number,
  realmUrl: string,
  one: string,
  two: string,
  changing: Changing,
): Record<string, unknown> {
  const editors = { access: { roles: ['realm:editor'] } };
  const route = { name: 'changing', endpoint: '/changing', upstream: [changing === 'two' ? two : one] };
  return {
    gateway: { workers, timeouts: { drain: '10s' } },
    realms: [
      {
        name: 'bench',
        url: realmUrl,
        issuers: [ISSUER],
        clients: ['istio'],
        clockSkew: '0s',
        jwks: { refresh: '4s', cooldown: '1s', timeout: '2s' },
      },
    ],
    routes: [
      { name: 'open', endpoint: '/open', upstream: [one, two] },
      { name: 'editors', endpoint: '/editors', upstream: [one], ...editors },
      ...(changing === 'absent' ? [] : [{ ...route, ...(changing === 'editors' ? editors : {}) }]),
    ],
  };
}

/** Workers together, since each lives only until it is killed. */
async function watchMemory(
  realmgate: Realmgate,
  memory: Map<string, MemorySample[]>,
  signal: AbortSignal,
  started: number,
): Promise<void> {
  memory.set('primary', []).set('workers', []);
  while (await waited(SAMPLE_EVERY, signal)) {
    const at = (performance.now() - started) / 1000;
    const workers = realmgate.workers().map((pid) => residentBytes(pid) ?? 0);
    memory.get('primary')!.push({ at, bytes: residentBytes(realmgate.program.pid) ?? 0 });
    memory.get('workers')!.push({ at, bytes: workers.reduce((sum, bytes) => sum + bytes, 0) });
  }
}

async function tell(traffic: Traffic, say: (line: string) => void, signal: AbortSignal): Promise<void> {
  while (await waited(10_000, signal)) {
    const counts = [...traffic.counts.values()];
    const sum = (of: (count: KindCount) => number): number =>
      counts.reduce((total, one) => total + of(one), 0);
    say(
      `${sum(({ right }) => right)} right, ${sum(({ lost }) => lost)} lost, ${sum(({ wrong }) => wrong)} wrong`,
    );
  }
}
