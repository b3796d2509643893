import { describe, expect, it } from 'vitest';
import type { ServiceView } from '../../src/contracts/service.ts';
import { MemoryControl } from './support/memory-control.ts';
import { problemOf, service, start } from './support/start.ts';

const RESTART = '/api/v1/services/a/restart';
const NEVER = new AbortController().signal;

/** A control plane whose restarts last until they are let go. */
class Held extends MemoryControl {
  readonly begun = Promise.withResolvers<undefined>();
  readonly release = Promise.withResolvers<undefined>();

  override async restartService(id: string, actor: string): Promise<ServiceView> {
    this.begun.resolve(undefined);
    await this.release.promise;
    return super.restartService(id, actor);
  }
}

async function restarting() {
  const control = new Held();
  const admin = await start({ control });
  await control.createService(service('a'), 'x');
  const answer = admin.call('developer', 'POST', RESTART);
  await control.begun.promise;
  return { ...admin, control, answer };
}

describe('a drain', () => {
  it('waits for the answers in progress, and refuses what comes after it began', async () => {
    const { control, server, call, url, answer } = await restarting();
    let drained = false;
    const drain = server.drain(NEVER).then(() => (drained = true));
    const late = await call('viewer', 'GET', '/api/v1/services');
    expect(late.headers.get('retry-after')).toBe('5');
    expect(await problemOf(late)).toMatchObject({ status: 503, code: 'service_unavailable' });
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(drained).toBe(false);
    control.release.resolve(undefined);
    expect(await (await answer).json()).toMatchObject({ name: 'a' });
    await drain;
    await server.close();
  });

  it('answers what is not done in time', async () => {
    const { server, answer } = await restarting();
    const over = new AbortController();
    const drain = server.drain(over.signal);
    over.abort();
    await drain;
    expect(await problemOf(await answer)).toMatchObject({
      status: 503,
      code: 'service_unavailable',
      detail: expect.stringContaining('Realmgate ends before this is done') as string,
    });
  });

  it('is not held up by followed logs, which end as a whole, nor by who left', async () => {
    const { server, call, control } = await start();
    await control.createService(service('a'), 'x');
    control.append('a', 'one');
    const left = await call('viewer', 'GET', '/api/v1/services/a/logs?follow=true');
    await left.body!.cancel();
    const followed = await call('viewer', 'GET', '/api/v1/services/a/logs?follow=true');
    await server.drain(NEVER);
    expect(await followed.text()).toBe('one\n');
  });

  it('comes with the end of the server', async () => {
    const { server, answer } = await restarting();
    const closed = server.close();
    expect(await problemOf(await answer)).toMatchObject({ status: 503, code: 'service_unavailable' });
    await closed;
  });
});
