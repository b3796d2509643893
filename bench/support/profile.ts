import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

/** A profile as V8's inspector gives it, as far as it is read here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      /** From 0 on. */
      readonly lineNumber: number;
    };
  }[];
  /** Ids of nodes. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** Microseconds between samples. */
const INTERVAL = 200;

/** How long the process may take to answer, in ms. */
const PATIENCE = 10_000;

/**
 * Profiles another Node process from now on. It has to have been started with `--inspect-port`; it answers there once
 * it got SIGUSR1. Call the result to stop, and to get the profile.
 */
export async function startProfiler(pid: number, port: number): Promise<() => Promise<CpuProfile>> {
  process.kill(pid, 'SIGUSR1');
  const socket = new WebSocket(await inspectorUrl(port));
  await once(socket, 'open');
  let last = 0;
  const send = async (method: string, params: object = {}): Promise<unknown> => {
    const id = ++last;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const heard = ({ data }: { readonly data: unknown }): void => {
      const answer = JSON.parse(String(data)) as {
        id?: number;
        result?: unknown;
        error?: { message: string };
      };
      if (answer.id !== id) return;
      socket.removeEventListener('message', heard);
      if (answer.error === undefined) resolve(answer.result);
      else reject(new Error(`${method}: ${answer.error.message}`));
    };
    socket.addEventListener('message', heard);
    socket.send(JSON.stringify({ id, method, params }));
    return promise;
  };
  await send('Profiler.enable');
  await send('Profiler.setSamplingInterval', { interval: INTERVAL });
  await send('Profiler.start');
  return async () => {
    const { profile } = (await send('Profiler.stop')) as { profile: CpuProfile };
    socket.close();
    return profile;
  };
}

async function inspectorUrl(port: number): Promise<string> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/json/list`);
      const [target] = (await response.json()) as { webSocketDebuggerUrl: string }[];
      if (target !== undefined) return target.webSocketDebuggerUrl;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await delay(50);
  }
}

export interface FunctionTime {
  readonly name: string;
  /** `file:line`, relative to the project; empty for parts of the engine. */
  readonly place: string;
  /** Time in the function itself, as a share of all time that was not idle. */
  readonly share: number;
}

/** The functions with the most time of their own, inlined callees included. */
export function topFunctions({ nodes, samples, timeDeltas }: CpuProfile, count: number): FunctionTime[] {
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]));
  const times = new Map<string, number>();
  let busy = 0;
  samples.forEach((id, i) => {
    const frame = byId.get(id);
    if (frame === undefined || frame.functionName === '(idle)') return;
    // A delta can be negative where two samples were taken out of order.
    const time = Math.max(0, timeDeltas[i] ?? 0);
    const place = frame.url === '' ? '' : `${shortened(frame.url)}:${frame.lineNumber + 1}`;
    const name = `${frame.functionName === '' ? '(anonymous)' : frame.functionName}\n${place}`;
    times.set(name, (times.get(name) ?? 0) + time);
    busy += time;
  });
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([key, time]) => {
      const [name = '', place = ''] = key.split('\n');
      return { name, place, share: time / busy };
    });
}

function shortened(url: string): string {
  return url.replace(new URL('../..', import.meta.url).href, '').replace(/^file:\/\//, '');
}
