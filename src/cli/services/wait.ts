import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceEvent, ServiceView } from '../../contracts/service.ts';
import type { Api } from '../api.ts';
import { ApiFailure } from '../api-failure.ts';
import { Failure } from '../failure.ts';
import { type Flags, type Values, wholeNumber } from '../flags.ts';
import { untilInterrupted } from '../interrupt.ts';
import { Progress } from '../progress.ts';
import { inOneLine, type Screen } from '../screen.ts';
import { EventFeed } from './event-feed.ts';
import { eventDetails, eventLine } from './event-lines.ts';

/** Milliseconds between two looks. */
const PAUSE = 250;
/** Seconds. Above the time that a revision has to become ready, so that the answer is the platform's own. */
const DEFAULT_TIMEOUT = 180;

export const WAIT_FLAGS = {
  wait: { negatable: true, help: 'wait until it runs or has failed, and show what happens (the default)' },
  timeout: {
    value: 'SECONDS',
    help: `stop waiting after so long (default ${DEFAULT_TIMEOUT}); it goes on starting`,
  },
} as const satisfies Flags;

/** Milliseconds to wait; 0 = not at all. */
export function patienceOf(values: Values<typeof WAIT_FLAGS>): number {
  const seconds = values.timeout === undefined ? DEFAULT_TIMEOUT : wholeNumber('timeout', values.timeout);
  return values.wait === false ? 0 : seconds * 1000;
}

/**
 * Shows what happens to a new service until it runs, and resolves to it then. Throws `Failure` when it failed or was
 * cancelled, with the reason, and when the user or `patience` (milliseconds) ended the waiting, which harms it in no way.
 */
export async function awaitStart(
  api: Api,
  service: ServiceView,
  screen: Screen,
  patience: number,
): Promise<ServiceView> {
  const progress = new Progress(screen);
  const feed = new EventFeed(api, service.id);
  const events: ServiceEvent[] = [];
  try {
    return await untilInterrupted(async (interrupted) => {
      const deadline = performance.now() + patience;
      for (;;) {
        // The service first: then its last event is among those that follow.
        const now = await api.service(service.id);
        events.push(...(await feed.show(progress)));
        if (now.status === 'running') return now;
        if (now.status === 'failed' || now.status === 'cancelled') throw startFailure(now, events);
        if (interrupted.aborted) throw stillStarting(service, 'no longer waiting');
        if (performance.now() > deadline) throw stillStarting(service, 'it takes longer than --timeout');
        progress.status(`${service.name} is ${now.status}`);
        await sleep(PAUSE, undefined, { signal: interrupted }).catch(() => undefined);
      }
    });
  } finally {
    progress.clear();
  }
}

/**
 * Shows what happens to a service while a call is carried out that lasts until its replicas are exchanged. When the
 * user stops waiting, the platform goes on: that is a `Failure` that says so.
 */
export async function duringRollout(
  api: Api,
  service: ServiceView,
  screen: Screen,
  what: string,
  call: (signal: AbortSignal) => Promise<ServiceView>,
): Promise<ServiceView> {
  const progress = new Progress(screen);
  const feed = new EventFeed(api, service.id);
  await feed.next(); // What has been is known.
  const events: ServiceEvent[] = [];
  const look = async (): Promise<void> => void events.push(...(await feed.show(progress)));
  try {
    return await untilInterrupted(async (interrupted) => {
      const settled = new AbortController();
      const calling = call(interrupted).finally(() => settled.abort());
      const watching = watch(look, () => progress.status(`${what} of ${service.name}`), settled.signal);
      try {
        return await calling;
      } catch (error) {
        if (interrupted.aborted) throw rolloutGoesOn(service, what);
        if (!(error instanceof ApiFailure) || error.code !== 'rollout_failed') throw error;
        await watching;
        await look();
        throw new Failure(
          error.message,
          ...error.lines.slice(1),
          ...reasonOf(service, events.map(withoutRetry), error.message),
        );
      } finally {
        await watching;
        if (!interrupted.aborted) await look().catch(() => undefined);
      }
    });
  } finally {
    progress.clear();
  }
}

/** Whatever goes wrong with watching, the call itself says what became of it. */
async function watch(look: () => Promise<void>, tick: () => void, until: AbortSignal): Promise<void> {
  try {
    while (!until.aborted) {
      await look();
      tick();
      await sleep(PAUSE, undefined, { signal: until });
    }
  } catch {
    return;
  }
}

function startFailure(service: ServiceView, events: readonly ServiceEvent[]): Failure {
  const { name, status } = service;
  if (status === 'cancelled') return new Failure(`${name} was cancelled before it ran`);
  const last = events.at(-1);
  const what = last === undefined ? `${name} failed` : inOneLine(`${name} failed: ${last.message}`);
  return new Failure(what, ...reasonOf(service, events, what));
}

/** What was rolled out in vain is not tried again. */
function withoutRetry(event: ServiceEvent): ServiceEvent {
  const { nextRetry, ...data } = event.data;
  if (nextRetry === undefined) return event;
  return { ...event, message: event.message.replace(/; [^;]+ again after [^;]+$/, ''), data };
}

/** The last thing that went wrong, unless `said` tells it, and what is known of it: exit code, last lines, next retry. */
function reasonOf({ name, id }: ServiceView, events: readonly ServiceEvent[], said: string): string[] {
  const why = events.findLast(({ kind }) => kind === 'exited' || kind === 'prepare-failed');
  return [
    ...(why === undefined || said.includes(inOneLine(why.message)) ? [] : [eventLine(why, id)]),
    ...(why === undefined ? [] : eventDetails(why).map((line) => `  ${line}`)),
    `More: realmgate services events ${name}, realmgate services logs ${name}`,
  ];
}

function stillStarting({ name }: ServiceView, why: string): Failure {
  return new Failure(
    `${why}; ${name} goes on starting`,
    `See how it goes: realmgate services show ${name}, realmgate services events ${name}`,
  );
}

function rolloutGoesOn({ name }: ServiceView, what: string): Failure {
  return new Failure(
    `no longer waiting; the ${what} of ${name} goes on`,
    `See how it went: realmgate services events ${name}`,
  );
}
