import type { CanonicalTarget } from './canonical-path.ts';
import type { ClientView } from './client-view.ts';
import type { BodyFraming, Exchange } from './exchange.ts';
import type { RequestHead } from './request-head.ts';
import type { RequestRecord } from './request-record.ts';

/** A request whose head was read and found unambiguous. */
export interface Incoming {
  readonly exchange: Exchange;
  readonly record: RequestRecord;
  readonly head: RequestHead;
  readonly target: CanonicalTarget;
  readonly view: ClientView;
  readonly body: BodyFraming;
}
