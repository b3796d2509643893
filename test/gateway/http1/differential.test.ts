import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { NodeReader, readByGateway, type Reading, type ReadRequest } from './in-memory.ts';
import { connectionBytes, mutated, splitAt } from './request-arbitrary.ts';

/** Failures print what to put here, and the counterexample. */
const RUNS = { seed: 1, numRuns: 4_000 };

const node = new NodeReader();
afterAll(() => node.close());

/**
 * Where node's parser stands wherever ours has read a request, it has read the same one. Of a request that ours refuses
 * nothing is asked: ours is stricter on purpose. What node makes of a whole connection cannot be compared as it is,
 * since it refuses requests that it has read once it finds a fault behind them; so it is then given no byte more than ours
 * needed.
 */
async function expectSame(bytes: Buffer, ours: Reading): Promise<void> {
  const count = ours.requests.length;
  const whole = await node.read([bytes]);
  if (sameStart(ours.requests, whole.requests)) return;
  const needed = await shortest(bytes, count);
  if (sameStart(ours.requests, (await node.read([needed])).requests)) return;
  const { requests } = await node.read([withoutExtensions(needed)]);
  expect({ bytes: needed.toString('latin1'), requests }).toEqual({
    bytes: needed.toString('latin1'),
    requests: ours.requests,
  });
}

/**
 * A known difference: ours throws chunk extensions away whatever they say, as long as no control character is in them,
 * and node insists on their grammar. Both see the line end in the same place.
 */
function withoutExtensions(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').replace(/^([0-9a-f]+);[\t\x20-\x7e\x80-\xff]*\r$/gim, '$1\r');
  return Buffer.from(text, 'latin1');
}

function sameStart(ours: readonly ReadRequest[], others: readonly ReadRequest[]): boolean {
  return JSON.stringify(ours) === JSON.stringify(others.slice(0, ours.length));
}

/** The fewest bytes of which ours reads so many requests. */
async function shortest(bytes: Buffer, count: number): Promise<Buffer> {
  let short = 0;
  let enough = bytes.length;
  while (short < enough) {
    const middle = (short + enough) >> 1;
    const { requests } = await readByGateway([bytes.subarray(0, middle)]);
    if (requests.length >= count) enough = middle;
    else short = middle + 1;
  }
  return bytes.subarray(0, enough);
}

test('a request that the gateway reads is the same to a strict node:http', { timeout: 120_000 }, async () => {
  let read = 0;
  await fc.assert(
    fc.asyncProperty(connectionBytes, async (bytes) => {
      const ours = await readByGateway([bytes]);
      read += ours.requests.length;
      await expectSame(bytes, ours);
    }),
    RUNS,
  );
  expect(read).toBeGreaterThan(RUNS.numRuns / 2);
});

test('the same with bytes that were tampered with', { timeout: 120_000 }, async () => {
  let read = 0;
  await fc.assert(
    fc.asyncProperty(mutated(connectionBytes), async (bytes) => {
      const ours = await readByGateway([bytes]);
      read += ours.requests.length;
      await expectSame(bytes, ours);
    }),
    RUNS,
  );
  expect(read).toBeGreaterThan(RUNS.numRuns / 5);
});

test(
  'however the bytes are split, the gateway reads and answers the same',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        mutated(connectionBytes),
        fc.array(fc.nat(), { maxLength: 8 }),
        async (bytes, cuts) => {
          const whole = await readByGateway([bytes]);
          const pieces = await readByGateway(splitAt(bytes, cuts));
          expect(pieces.requests).toEqual(whole.requests);
          expect(statusesOf(pieces)).toEqual(statusesOf(whole));
        },
      ),
      RUNS,
    );
  },
);

function statusesOf({ answers }: Reading): string[] {
  return answers.match(/HTTP\/1\.1 \d{3}/g) ?? [];
}
