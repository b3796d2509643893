import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { Reloads } from '../../src/app/reload.ts';
import { loadSettings } from '../../src/config/load.ts';
import type { Settings } from '../../src/contracts/settings.ts';
import type { Logger } from '../../src/telemetry/log.ts';
import { temporaryFolder } from './serve-process.ts';

interface Setup {
  readonly reloads: Reloads;
  /** Names of the routes of each configuration that was put in force, or tried to be. */
  readonly applied: string[];
  readonly events: unknown[];
  /** Writes a valid configuration with one route of this name. */
  readonly write: (name: string) => void;
  readonly writeInvalid: () => void;
}

/** Reloads of a file, put in force by `apply`. */
async function start(apply: (settings: Settings) => Promise<void>): Promise<Setup> {
  const configFile = join(temporaryFolder(), 'realmgate.json');
  const write = (name: string): void =>
    writeFileSync(
      configFile,
      JSON.stringify({
        realms: [{ name: 'demo', url: 'http://127.0.0.1:9/auth/realms/demo' }],
        routes: [{ name, endpoint: '/', upstream: ['http://127.0.0.1:9'] }],
      }),
    );
  write('first');
  const loaded = await loadSettings(configFile);
  if (!loaded.ok) throw new Error('the first configuration is invalid');
  const applied: string[] = [];
  const events: unknown[] = [];
  const note = ({ event }: { event?: unknown }): void => void events.push(event);
  const reloads = new Reloads(loaded.settings, {
    configFile,
    log: { info: note, warn: note, error: note } as unknown as Logger,
    read: () => undefined,
    apply: (settings) => {
      applied.push(settings.routes[0]!.name);
      return apply(settings);
    },
  });
  return { reloads, applied, events, write, writeInvalid: () => writeFileSync(configFile, '{') };
}

test('are done one after the other; those that are asked for meanwhile share the next one', async () => {
  let running = 0;
  let most = 0;
  const { promise: gate, resolve: open } = Promise.withResolvers<undefined>();
  const { promise: entered, resolve: enter } = Promise.withResolvers<undefined>();
  const { reloads, applied, write } = await start(async () => {
    most = Math.max(most, ++running);
    enter(undefined);
    await gate;
    running--;
  });
  reloads.begin();
  write('second');
  const first = reloads.request();
  await entered;
  write('third');
  const others = [reloads.request(), reloads.request(), reloads.request()];
  write('fourth');

  open(undefined);
  await Promise.all([first, ...others]);

  expect(applied).toEqual(['second', 'fourth']);
  expect(most).toBe(1);
  expect(reloads.current.routes[0]!.name).toBe('fourth');
  expect(reloads.counts).toEqual({ applied: 2, refused: 0 });
});

test('that are asked for before the beginning wait for it', async () => {
  const { reloads, applied, write } = await start(() => Promise.resolve());
  const early = reloads.request();
  write('second');
  expect(applied).toEqual([]);

  reloads.begin();
  await early;

  expect(applied).toEqual(['second']);
});

test('that fail are told, count as refused, and do not keep the next one from being done', async () => {
  let fails = true;
  const { reloads, events, write } = await start(() =>
    fails ? Promise.reject(new Error('a bug')) : Promise.resolve(),
  );
  reloads.begin();
  write('second');

  await reloads.request();
  expect(reloads.current.routes[0]!.name).toBe('first');
  fails = false;
  await reloads.request();

  expect(events).toEqual(['reload-failed', 'reloaded']);
  expect(reloads.current.routes[0]!.name).toBe('second');
  expect(reloads.counts).toEqual({ applied: 1, refused: 1 });
});

test('of an invalid file put nothing in force', async () => {
  const { reloads, applied, events, writeInvalid } = await start(() => Promise.resolve());
  reloads.begin();
  writeInvalid();

  await reloads.request();

  expect(applied).toEqual([]);
  expect(events).toEqual(['reload-refused']);
});

test('end with close: the one in progress is waited for, and none follows', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<undefined>();
  const { promise: entered, resolve: enter } = Promise.withResolvers<undefined>();
  const { reloads, applied } = await start(() => {
    enter(undefined);
    return gate;
  });
  reloads.begin();
  void reloads.request();
  await entered;
  const waiting = reloads.request();
  let closed = false;

  const closing = reloads.close().then(() => (closed = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(closed).toBe(false);
  open(undefined);
  await closing;
  await waiting;
  await reloads.request();

  expect(applied).toEqual(['first']);
});

test('end with close even when they never began', async () => {
  const { reloads, applied } = await start(() => Promise.resolve());
  const early = reloads.request();

  await reloads.close();
  await early;

  expect(applied).toEqual([]);
});
