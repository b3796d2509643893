import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type GitFailure, runGit } from '../../../src/control/git/run-git.ts';
import { temporaryDirectory } from './source-repository.ts';

const PATH = process.env['PATH'] ?? '';

interface Held {
  /** Arguments for a git whose child holds a connection, and ends only when it is killed. */
  readonly args: string[];
  /** The connection, once the child has it. */
  readonly socket: Promise<Socket>;
}

async function hold(): Promise<Held> {
  const server = createServer();
  const path = join(temporaryDirectory(), 'socket');
  server.listen(path);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const script = `process.on('SIGTERM', () => 0); process.on('SIGINT', () => 0); require('net').connect('${path}')`;
  const program = `!'${process.execPath}' -e "${script}"`;
  const socket = once(server, 'connection').then(([opened]) => opened as Socket);
  return { args: ['-c', `alias.hold=${program}`, 'hold'], socket };
}

function run(args: string[], timeout: number, signal = new AbortController().signal): Promise<string> {
  return runGit({ args, environment: { PATH }, cwd: temporaryDirectory(), timeout, signal });
}

test('a run that takes too long is ended with all that it started', async () => {
  // What is left of it would hold its output open, and the call would go on.
  const ran = run(['-c', 'alias.hold=!sleep 1000', 'hold'], 200);
  await expect(ran).rejects.toMatchObject({
    name: 'GitFailure',
    timedOut: true,
  } satisfies Partial<GitFailure>);
});

test('the signal ends a run with all that it started', async () => {
  const { args, socket } = await hold();
  const controller = new AbortController();
  const ran = run(args, 60_000, controller.signal);
  const closed = once(await socket, 'close');
  const reason = new Error('enough');
  controller.abort(reason);
  await expect(ran).rejects.toBe(reason);
  await closed;
  await expect(run(['version'], 60_000, controller.signal)).rejects.toBe(reason);
});

test('what git prints without end is not kept', async () => {
  await expect(run(['-c', 'alias.flood=!yes', 'flood'], 60_000)).rejects.toMatchObject({
    name: 'GitFailure',
  });
});
