import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { FromWorker } from '../../src/contracts/worker-messages.ts';
import { ControlClient } from '../../src/gateway/control-client.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function startClient() {
  const sent: FromWorker[] = [];
  const client = new ControlClient((message) => void sent.push(message));
  return { client, sent };
}

test('questions go out with numbers of their own and take their own answers, in any order', async () => {
  const { client, sent } = startClient();
  const bucket = { key: 'a', count: 1, window: 1000 };
  const rate = client.takeRate([bucket]);
  const place = client.enter('route:a', 5);
  const claims = client.introspect('demo', 'opaque');
  expect(sent).toEqual([
    { kind: 'ask', id: 1, question: { call: 'takeRate', args: [[bucket]] } },
    { kind: 'ask', id: 2, question: { call: 'enter', args: ['route:a', 5] } },
    { kind: 'ask', id: 3, question: { call: 'introspect', args: ['demo', 'opaque'] } },
  ]);
  client.answered(3, { sub: 'alice' });
  client.answered(1, { ok: true });
  client.answered(2, false);
  expect(await rate).toEqual({ ok: true });
  expect(await place).toBe(false);
  expect(await claims).toEqual({ sub: 'alice' });
  expect(vi.getTimerCount()).toBe(0);
});

test('what the primary could not answer rejects with its reason', async () => {
  const { client } = startClient();
  const logout = client.backchannelLogout('demo', 'token');
  client.notAnswered(1, 'the disk is full');
  await expect(logout).rejects.toThrow('the disk is full');
  expect(vi.getTimerCount()).toBe(0);
});

test('a primary that stays silent costs 15 s and no longer, and its late answer is nobody’s', async () => {
  const { client, sent } = startClient();
  const refresh = client.refreshKeys('demo');
  const outcome = expect(refresh).rejects.toThrow('The primary did not answer in time');
  vi.advanceTimersByTime(14_999);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(1);
  await outcome;
  client.answered(1, null);
  client.answered(99, null);
  client.notAnswered(99, 'nobody asked');
  expect(sent).toHaveLength(1);
});

test('a place that comes after nobody waits for it any more is given back once', async () => {
  const { client, sent } = startClient();
  const late = expect(client.enter('route:a', 5)).rejects.toThrow('in time');
  const refused = expect(client.enter('route:b', 5)).rejects.toThrow('in time');
  vi.advanceTimersByTime(15_000);
  await Promise.all([late, refused]);
  client.answered(1, true);
  client.answered(1, true);
  client.answered(2, false);
  expect(sent.slice(2)).toEqual([{ kind: 'leave', key: 'route:a' }]);
});

test('giving a place back awaits no answer', () => {
  const { client, sent } = startClient();
  client.leave('route:a');
  expect(sent).toEqual([{ kind: 'leave', key: 'route:a' }]);
  expect(vi.getTimerCount()).toBe(0);
});

test('a wait for an upstream lasts as long as its signal lets it, and is withdrawn once', async () => {
  const { client, sent } = startClient();
  const [answered, withdrawn] = [new AbortController(), new AbortController()];
  const first = client.awaitUpstream('a', null, answered.signal);
  const second = expect(client.awaitUpstream('a', 'http://b:1', withdrawn.signal)).rejects.toThrow('left');
  expect(sent).toEqual([
    { kind: 'ask', id: 1, question: { call: 'awaitUpstream', args: ['a', null] } },
    { kind: 'ask', id: 2, question: { call: 'awaitUpstream', args: ['a', 'http://b:1'] } },
  ]);
  expect(vi.getTimerCount()).toBe(0);
  withdrawn.abort(new Error('the client has left'));
  await second;
  client.answered(2, true);
  client.answered(1, true);
  expect(await first).toBe(true);
  answered.abort();
  expect(sent.slice(2)).toEqual([{ kind: 'withdraw', id: 2 }]);
});
