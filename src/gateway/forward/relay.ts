import type { GatewayLimits, GatewayTimeouts } from '../../contracts/settings.ts';
import { Refusal } from '../../errors.ts';
import type { Deadlines, Watched } from '../deadlines.ts';
import type { Exchange } from '../exchange.ts';
import { mayTrail } from '../request-head.ts';
import type { RelayReport, RequestRecord } from '../request-record.ts';
import { responseHeaders } from './response-headers.ts';
import type { Upstream, UpstreamGroup } from './upstream-group.ts';
import type {
  UpstreamClient,
  UpstreamEvents,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamRequest,
} from './upstream-types.ts';

/** What the relay of one request needs to know. */
export interface RelayPlan {
  readonly group: UpstreamGroup;
  readonly request: UpstreamRequest;
  /** Bytes that stand for the client's body where that was read already; null = stream it. */
  readonly body: Buffer | null;
  /** Instant from which nothing more is relayed, in ms since the epoch: the end of the token's life. */
  readonly notAfter: number;
  /** Header fields added to the response, flat. */
  readonly added: readonly string[];
  /** The edge answers CORS itself, so that what the service says of it is dropped. */
  readonly edgeCors: boolean;
}

/** The part of a worker's state that a relay works with. */
export interface RelayContext {
  readonly client: UpstreamClient;
  readonly deadlines: Deadlines;
  readonly settings: {
    readonly timeouts: Pick<GatewayTimeouts, 'response' | 'idle'>;
    readonly limits: Pick<GatewayLimits, 'bodyBytes'>;
  };
  /** Tells what could not be relayed; answers it where nothing was sent yet, and cuts it otherwise. */
  refuseRelay(
    exchange: Exchange,
    record: RequestRecord,
    refusal: Refusal,
    failure: UpstreamFailure | null,
  ): void;
}

const FAILURES = {
  unreachable: ['upstream_unreachable', 'The service could not be reached'],
  'connect-timeout': ['upstream_timeout', 'The service did not accept a connection in time'],
  reset: ['upstream_unreachable', 'The service closed the connection before it answered'],
  invalid: ['upstream_invalid', 'The service answered with something that is not HTTP'],
} as const;

/**
 * Relays one request to an upstream and its response back, streaming both ways with back-pressure.
 *
 * It sends a request to a second member of the group only where the first refused the connection, so that nothing
 * was sent yet, and no body has been taken from the client. See `UpstreamRequest.retryable` for the other case.
 */
export class Relay implements UpstreamEvents, Watched, RelayReport {
  readonly #context: RelayContext;
  readonly #exchange: Exchange;
  readonly #record: RequestRecord;
  readonly #plan: RelayPlan;
  #member: Upstream | null = null;
  #upstream: UpstreamExchange | null = null;
  #attempts = 0;
  #bodyBytes = 0;
  #over = false;
  #ended = false;
  /** When the last byte of the request went out; 0 = it is still on its way. */
  #requestEndedAt = 0;
  #lastActivity: number;
  /** Of the response's body, where its length was announced; -1 = not. */
  #announced = -1;
  /** performance.now() at the response's head; 0 = none yet. */
  headAt = 0;

  constructor(context: RelayContext, exchange: Exchange, record: RequestRecord, plan: RelayPlan) {
    this.#context = context;
    this.#exchange = exchange;
    this.#record = record;
    this.#plan = plan;
    this.#lastActivity = context.deadlines.now;
  }

  start(): void {
    const { request, body } = this.#plan;
    const { bodyBytes } = this.#context.settings.limits;
    if (bodyBytes !== null && typeof request.body === 'number' && request.body > bodyBytes) {
      this.#context.refuseRelay(this.#exchange, this.#record, tooLarge(bodyBytes), null);
      return;
    }
    if (!this.#open()) {
      const refusal = new Refusal('service_unavailable', 'No replica of the service is ready', {
        retryAfter: 1,
      });
      this.#context.refuseRelay(this.#exchange, this.#record, refusal, null);
      return;
    }
    this.#context.deadlines.watch(this);
    this.#exchange.onGone = () => this.#stop();
    if (body !== null) {
      this.#upstream?.write(body);
      this.#sent([]);
    } else if (request.body === 'none') {
      this.#requestEndedAt = this.#context.deadlines.now;
    } else {
      this.#exchange.readBody(
        (chunk) => this.#relayBody(chunk),
        (trailers) => this.#sent(trailers),
      );
    }
  }

  get origin(): string | null {
    return this.#member?.origin ?? null;
  }

  /** Starts an attempt with the best member; false = there is none. */
  #open(): boolean {
    const { group, request } = this.#plan;
    const member = group.pick(this.#context.deadlines.now);
    if (member === null) return false;
    this.#attempts++;
    this.#member = member;
    member.outstanding++;
    this.#upstream = this.#context.client.request(member.origin, request, this);
    return true;
  }

  #relayBody(chunk: Buffer): boolean {
    if (this.#over) return true;
    const { deadlines, settings } = this.#context;
    const { bodyBytes } = settings.limits;
    this.#bodyBytes += chunk.length;
    if (bodyBytes !== null && this.#bodyBytes > bodyBytes) {
      this.#fail(tooLarge(bodyBytes), null);
      return true;
    }
    this.#lastActivity = deadlines.now;
    return this.#upstream!.write(chunk);
  }

  #sent(trailers: readonly string[]): void {
    if (this.#over) return;
    this.#requestEndedAt = this.#lastActivity = this.#context.deadlines.now;
    this.#upstream!.end(trailers.length === 0 ? trailers : allowedTrailers(trailers));
  }

  onDrain(): void {
    this.#exchange.resumeBody();
  }

  onInformational(status: number, headers: string[]): void {
    this.#lastActivity = this.#context.deadlines.now;
    this.#exchange.inform(status, responseHeaders(headers, [], false, this.#plan.edgeCors));
  }

  onHead(
    status: number,
    reason: string,
    headers: string[],
    length: number | 'chunked' | 'close' | 'none',
  ): void {
    this.headAt = performance.now();
    this.#lastActivity = this.#context.deadlines.now;
    if (typeof length === 'number') this.#announced = length;
    const keepLength = typeof length === 'number' || (length === 'none' && status !== 204);
    const { added, edgeCors } = this.#plan;
    try {
      this.#exchange.sendHead(status, reason, responseHeaders(headers, added, keepLength, edgeCors));
    } catch (error) {
      // HTTP/2 has rules of its own, such as one value only for some fields.
      const detail = error instanceof Error ? error.message : String(error);
      this.#fail(new Refusal('upstream_invalid', FAILURES.invalid[1]), { kind: 'invalid', detail });
    }
  }

  onData(chunk: Buffer): boolean {
    const exchange = this.#exchange;
    this.#lastActivity = this.#context.deadlines.now;
    if (chunk.length === this.#announced) {
      // The whole body at once: head and body leave in one write.
      this.#ended = true;
      exchange.end(chunk, []);
      return true;
    }
    if (exchange.write(chunk)) return true;
    exchange.whenWritable(() => {
      this.#lastActivity = this.#context.deadlines.now;
      this.#upstream?.resume();
    });
    return false;
  }

  onEnd(trailers: string[]): void {
    this.#finish();
    if (this.#ended) return;
    this.#exchange.end(null, trailers.length === 0 ? trailers : allowedTrailers(trailers));
  }

  onFailed(failure: UpstreamFailure): void {
    if (this.#over) return;
    const member = this.#member!;
    const unconnected = failure.kind === 'unreachable' || failure.kind === 'connect-timeout';
    if (unconnected) {
      const { group, request, body } = this.#plan;
      group.avoid(member, this.#context.deadlines.now);
      if (request.body === 'none' && body === null && this.#attempts < group.size) {
        member.outstanding--;
        if (this.#open()) return;
        member.outstanding++;
      }
    }
    const [code, detail] = FAILURES[failure.kind];
    this.#fail(new Refusal(code, detail), failure);
  }

  check(now: number): void {
    const { timeouts } = this.#context.settings;
    if (now >= this.#plan.notAfter) {
      this.#fail(new Refusal('token_expired', 'The token has expired'), null);
    } else if (this.headAt === 0 && this.#requestEndedAt !== 0) {
      if (now - Math.max(this.#requestEndedAt, this.#lastActivity) >= timeouts.response) {
        this.#fail(new Refusal('upstream_timeout', 'The service did not answer in time'), null);
      }
    } else if (now - this.#lastActivity >= timeouts.idle) {
      this.#fail(new Refusal('request_timeout', 'Nothing was received for too long'), null);
    }
  }

  #fail(refusal: Refusal, failure: UpstreamFailure | null): void {
    this.#stop();
    this.#context.refuseRelay(this.#exchange, this.#record, refusal, failure);
  }

  #stop(): void {
    this.#finish();
    this.#upstream?.abort();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#exchange.onGone = null;
    this.#context.deadlines.forget(this);
    if (this.#member !== null) this.#member.outstanding--;
  }
}

function tooLarge(limit: number): Refusal {
  return new Refusal('body_too_large', `The request body is larger than ${limit} bytes`);
}

/** Trailer fields without those that a header section would not have let through either. */
function allowedTrailers(trailers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < trailers.length; i += 2) {
    if (mayTrail(trailers[i]!)) kept.push(trailers[i]!, trailers[i + 1]!);
  }
  return kept;
}
