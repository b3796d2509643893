import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { inChunks } from '../../src/admin/in-chunks.ts';
import type { ControlApi } from '../../src/contracts/control-api.ts';
import { Refusal } from '../../src/errors.ts';
import { MemoryControl } from './support/memory-control.ts';
import { problemOf, service, start, type StartedAdmin } from './support/start.ts';

const LOGS = '/api/v1/services/a/logs';

async function startWithService(overrides: { control?: MemoryControl } = {}): Promise<StartedAdmin> {
  const admin = await start(overrides);
  await (overrides.control ?? admin.control).createService(service('a'), 'x');
  return admin;
}

function readerOf(response: Response): () => Promise<string | null> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  return async () => {
    const { done, value } = await reader.read();
    return done ? null : value;
  };
}

describe('logs', () => {
  it('are lines of text, all or the last ones', async () => {
    const { call, control } = await startWithService();
    control.append('a', 'one', 'zwei ä', 'three');
    const response = await call('viewer', 'GET', LOGS);
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(await response.text()).toBe('one\nzwei ä\nthree\n');
    expect(await (await call('viewer', 'GET', `${LOGS}?tail=1`)).text()).toBe('three\n');
    expect(await (await call('viewer', 'GET', `${LOGS}?tail=0&follow=false`)).text()).toBe('');
  });

  it('of a past service are there still', async () => {
    const { call, control } = await startWithService();
    const { id } = await control.cancelService('a', 'x');
    control.append(id, 'last words');
    expect(await (await call('viewer', 'GET', `/api/v1/services/${id}/logs`)).text()).toBe('last words\n');
  });

  it('that are followed begin at once, and go on with each line', async () => {
    const { call, control } = await startWithService();
    const response = await call('viewer', 'GET', `${LOGS}?follow=true`); // there is no line yet
    const read = readerOf(response);
    for (const line of ['one', 'two']) {
      control.append('a', line);
      expect(await read()).toBe(`${line}\n`);
    }
  });

  it('are no longer read once the client left', async () => {
    const { call, control } = await startWithService();
    const response = await call('viewer', 'GET', `${LOGS}?follow=true`);
    await expect.poll(() => control.readers).toBe(1);
    await response.body!.cancel();
    await expect.poll(() => control.readers).toBe(0);
  });

  it('that are followed end as a whole when the server closes', async () => {
    const { call, control, server } = await startWithService();
    control.append('a', 'one');
    const response = await call('viewer', 'GET', `${LOGS}?follow=true`);
    const read = readerOf(response);
    expect(await read()).toBe('one\n');
    const closed = server.close();
    expect(await read()).toBeNull(); // a cut would reject
    await closed;
    expect(control.readers).toBe(0);
  });

  it('are not opened for HEAD', async () => {
    const { call, control } = await startWithService();
    const response = await call('viewer', 'HEAD', `${LOGS}?follow=true`);
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(control.opened).toBe(0);
  });

  it('wait for a client that does not read', async () => {
    let pulled = 0;
    const control = new (class extends MemoryControl implements ControlApi {
      override async *logs(): AsyncGenerator<string> {
        for (;;) {
          pulled++;
          yield await Promise.resolve('x'.repeat(10_000));
        }
      }
    })();
    const { url } = await startWithService({ control });
    const socket = connect(Number(new URL(url).port), '127.0.0.1').pause();
    await once(socket, 'connect');
    socket.write(`GET ${LOGS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer\r\n\r\n`);
    // It stands still once the buffers of both ends are full.
    let before = -1;
    await expect
      .poll(() => {
        const still = pulled > 0 && pulled === before;
        before = pulled;
        return still;
      })
      .toBe(true);
    expect(pulled).toBeLessThan(10_000);
    socket.destroy();
  });

  it('that fail before their first line are refused, and after it are cut and logged', async () => {
    let given = 0;
    const control = new (class extends MemoryControl implements ControlApi {
      override async *logs(): AsyncGenerator<string> {
        for (let i = 0; i < given; i++) yield await Promise.resolve('x'.repeat(40_000));
        throw given === 0 ? new Refusal('not_found', 'There is no such replica') : new Error('the disk');
      }
    })();
    const { call, logged } = await startWithService({ control });
    expect(await problemOf(await call('viewer', 'GET', LOGS))).toMatchObject({ code: 'not_found' });
    expect(logged).toEqual([]);
    given = 1;
    const cut = call('viewer', 'GET', LOGS).then((response) => response.text());
    await expect(cut).rejects.toThrow();
    expect(logged).toMatchObject([{ err: new Error('the disk') }]);
  });
});

describe('lines', () => {
  it('that are there at once share a chunk, up to a size', async () => {
    async function* lines() {
      for (let i = 0; i < 5000; i++) yield await Promise.resolve(`line ${i}`);
    }
    const chunks: string[] = [];
    for await (const chunk of inChunks(lines())) chunks.push(chunk);
    expect(chunks.join('').split('\n')).toHaveLength(5001);
    expect(chunks.length).toBeLessThan(100);
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThan(33_000);
  });
});
