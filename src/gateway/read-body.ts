import { Refusal } from '../errors.ts';
import type { Gateway } from './gateway.ts';
import type { Incoming } from './incoming.ts';

/**
 * Collects a small body. Rejects with `body_too_large` over `limit` bytes, and with `request_timeout` when it is not
 * complete within the time that a header section has. Never settles when the client goes away: the exchange has.
 */
export function readBody(
  gateway: Gateway,
  { exchange, head, body }: Incoming,
  limit: number,
): Promise<Buffer> {
  if (body === 'none') return Promise.resolve(Buffer.alloc(0));
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const tooLarge = () =>
    reject(new Refusal('body_too_large', `The request body is larger than ${limit} bytes`));
  if (typeof body === 'number' && body > limit) {
    tooLarge();
    return promise;
  }
  const dueAt = gateway.deadlines.now + gateway.settings.timeouts.header;
  const watch = {
    watchedAt: -1,
    check(now: number): void {
      if (now >= dueAt) reject(new Refusal('request_timeout', 'The request body took too long to arrive'));
    },
  };
  gateway.deadlines.watch(watch);
  exchange.whenSettled(() => gateway.deadlines.forget(watch));
  if (head.expectsContinue) exchange.inform(100, []);
  const chunks: Buffer[] = [];
  let length = 0;
  exchange.readBody(
    (chunk) => {
      length += chunk.length;
      if (length > limit) tooLarge();
      else chunks.push(chunk);
      return true;
    },
    () => {
      gateway.deadlines.forget(watch);
      resolve(Buffer.concat(chunks, length));
    },
    () => true,
  );
  return promise;
}
