import type { GatewayLimits, GatewayTimeouts } from '../../contracts/settings.ts';
import { Refusal } from '../../errors.ts';
import type { Deadlines, Watched } from '../deadlines.ts';
import type { Exchange, ExchangeFollower } from '../exchange.ts';
import { mayTrail } from '../request-head.ts';
import type { RelayReport, RequestRecord } from '../request-record.ts';
import { bodyTooLarge, checkBodyLength } from './body-length.ts';
import type { Hold, Waiter } from './hold.ts';
import { noReplicaReady, tokenExpired } from './refusals.ts';
import { responseHeaders } from './response-headers.ts';
import { refusalOf } from './upstream-failure.ts';
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
  /** The wait for an upstream where there is none; null = the request fails at once. */
  readonly hold: Hold | null;
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

/**
 * A body of which fewer bytes have come is kept until its upstream is known to take it. It is as much as node's
 * sockets buffer before they ask for a pause, so that all of what comes ahead of a connection is kept.
 */
const REPLAYABLE = 64 * 1024;

/**
 * Relays one request to an upstream and its response back, streaming both ways with back-pressure.
 *
 * It turns to a second member of the group only where the first took no connection, so that nothing was sent yet,
 * and all of the body that the client gave is still at hand; where no member is left it waits for one, if it may.
 * See `UpstreamRequest.retryable` for the other case.
 */
export class Relay implements UpstreamEvents, Watched, RelayReport, Waiter, ExchangeFollower {
  readonly #context: RelayContext;
  readonly #exchange: Exchange;
  readonly #record: RequestRecord;
  readonly #plan: RelayPlan;
  #group: UpstreamGroup;
  /** The one that was asked last. */
  #member: Upstream | null = null;
  /** `#member` counts this request. */
  #counted = false;
  #upstream: UpstreamExchange | null = null;
  /** Members asked since it last waited. */
  #attempts = 0;
  /** It was sent twice: never a third time. */
  #resent = false;
  #held = false;
  #begun = false;
  #bodyBytes = 0;
  #over = false;
  #ended = false;
  /** The start of a streamed body, as long as the whole of it so far could be sent to another member. */
  #replay: Buffer[] | null = null;
  #trailers: readonly string[] = [];
  /** The upstream holds as much of the body as it should. */
  #upstreamFull = false;
  /** The client holds as much of the response as it should. */
  #clientFull = false;
  /** When the last byte of the request went out; 0 = it is still on its way. */
  #requestEndedAt = 0;
  #lastActivity: number;
  /** Of the response's body, where its length was announced; -1 = not. */
  #announced = -1;
  /** performance.now() at the response's head; 0 = none yet. */
  headAt = 0;
  watchedAt = -1;

  constructor(context: RelayContext, exchange: Exchange, record: RequestRecord, plan: RelayPlan) {
    this.#context = context;
    this.#exchange = exchange;
    this.#record = record;
    this.#plan = plan;
    this.#group = plan.group;
    this.#lastActivity = context.deadlines.now;
  }

  /** Throws `body_too_large` where the announced length says so. */
  start(): void {
    const { request } = this.#plan;
    const { bodyBytes } = this.#context.settings.limits;
    checkBodyLength(request.body, bodyBytes);
    this.#exchange.follower = this;
    if (this.#open()) this.#begin();
    else this.#wait(null);
  }

  /** The first upstream was asked: the client's body may come. */
  #begin(): void {
    const { request, body, hold } = this.#plan;
    this.#begun = true;
    this.#context.deadlines.watch(this);
    if (body !== null) {
      this.#relayBody(body);
      this.#sent([]);
    } else if (request.body === 'none') {
      this.#requestEndedAt = this.#context.deadlines.now;
    } else {
      if (this.#group.size > 1 || hold !== null) this.#replay = [];
      this.#exchange.readBody(
        (chunk) => this.#relayBody(chunk),
        (trailers) => this.#sent(trailers),
        () => this.#replay !== null || this.#upstream?.holdsBody === true,
      );
    }
  }

  get origin(): string | null {
    return this.#member?.origin ?? null;
  }

  /** Starts an attempt with the best member; false = there is none. */
  #open(): boolean {
    const { request } = this.#plan;
    const member = this.#group.pick(this.#context.deadlines.now);
    if (member === null) return false;
    const once = this.#resent ? { ...request, retryable: false } : request;
    this.#upstream = this.#context.client.request(member.origin, once, this);
    this.#attempts++;
    this.#member = member;
    this.#counted = true;
    member.begin();
    return true;
  }

  /** The member has nothing to do with this request any more. */
  #leave(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.#member!.end();
  }

  /** Waits for an upstream. `refused`: the origin that took no connection; null = there is none. */
  #wait(refused: string | null): void {
    const { hold } = this.#plan;
    if (hold === null) {
      this.#fail(noReplicaReady(), null);
      return;
    }
    this.#held = true;
    this.#context.deadlines.forget(this);
    hold.begin(refused, this);
  }

  onReady(group: UpstreamGroup): void {
    this.#held = false;
    this.#group = group;
    this.#attempts = 0;
    this.#lastActivity = this.#context.deadlines.now;
    if (!this.#open()) {
      this.#wait(null);
    } else if (this.#begun) {
      this.#context.deadlines.watch(this);
      this.#sendAgain();
    } else {
      this.#begin();
    }
  }

  onNotReady(refusal: Refusal): void {
    this.#fail(refusal, null);
  }

  #relayBody(chunk: Buffer): boolean {
    if (this.#over) return true;
    const { deadlines, settings } = this.#context;
    const { bodyBytes } = settings.limits;
    this.#bodyBytes += chunk.length;
    if (bodyBytes !== null && this.#bodyBytes > bodyBytes) {
      this.#fail(bodyTooLarge(bodyBytes), null);
      return true;
    }
    this.#lastActivity = deadlines.now;
    if (this.#held) {
      this.#replay!.push(chunk); // the only one, as nothing more is read
      this.#upstreamFull = true;
      return false;
    }
    if (this.#replay !== null && this.#bodyBytes - chunk.length < REPLAYABLE) this.#replay.push(chunk);
    else this.#replay = null;
    this.#upstreamFull = !this.#upstream!.write(chunk);
    return !this.#upstreamFull;
  }

  #sent(trailers: readonly string[]): void {
    if (this.#over) return;
    this.#requestEndedAt = this.#lastActivity = this.#context.deadlines.now;
    this.#trailers = trailers.length === 0 ? trailers : allowedTrailers(trailers);
    this.#upstream!.end(this.#trailers);
  }

  onDrain(): void {
    this.#upstreamFull = false;
    this.#lastActivity = this.#context.deadlines.now;
    this.#exchange.resumeBody();
  }

  onInformational(status: number, headers: string[]): void {
    this.#lastActivity = this.#context.deadlines.now;
    this.#replay = null;
    try {
      this.#exchange.inform(status, responseHeaders(headers, [], false, this.#plan.edgeCors));
    } catch (error) {
      this.#cannotSend(error);
    }
  }

  onHead(
    status: number,
    reason: string,
    headers: string[],
    length: number | 'chunked' | 'close' | 'none',
  ): void {
    this.headAt = performance.now();
    this.#lastActivity = this.#context.deadlines.now;
    this.#replay = null;
    if (typeof length === 'number') this.#announced = length;
    const keepLength = typeof length === 'number' || (length === 'none' && status !== 204);
    const { added, edgeCors } = this.#plan;
    try {
      this.#exchange.sendHead(status, reason, responseHeaders(headers, added, keepLength, edgeCors));
    } catch (error) {
      this.#cannotSend(error);
    }
  }

  /** A head that the client's protocol cannot carry: HTTP/2 has rules of its own. */
  #cannotSend(error: unknown): void {
    const failure = {
      kind: 'invalid',
      detail: error instanceof Error ? error.message : String(error),
    } as const;
    this.#fail(refusalOf(failure), failure);
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
    // Many small pieces may come from one read before the upstream stops: one callback is enough for all of them.
    if (!this.#clientFull) {
      this.#clientFull = true;
      exchange.whenWritable(() => {
        this.#clientFull = false;
        this.#lastActivity = this.#context.deadlines.now;
        this.#upstream?.resume();
      });
    }
    return false;
  }

  get holdsData(): boolean {
    return this.#exchange.holdsBytes;
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
    this.#leave();
    if (unconnected) {
      this.#group.avoid(member, this.#context.deadlines.now);
      this.#resent ||= this.#upstream!.resent;
      if (this.#plan.request.body === 'none' || this.#replay !== null) {
        if (this.#attempts < this.#group.size && this.#open()) {
          this.#sendAgain();
          return;
        }
        if (this.#plan.hold !== null) {
          this.#wait(member.origin);
          return;
        }
      }
    }
    this.#fail(refusalOf(failure), failure);
  }

  clientGone(): void {
    this.#stop();
  }

  /** Gives a new member what the one before it did not take. */
  #sendAgain(): void {
    if (this.#replay === null) return;
    let more = true;
    for (const chunk of this.#replay) more = this.#upstream!.write(chunk);
    if (this.#requestEndedAt !== 0) this.#upstream!.end(this.#trailers);
    else if (more && this.#upstreamFull) this.onDrain();
  }

  check(now: number): void {
    const { timeouts } = this.#context.settings;
    if (now >= this.#plan.notAfter) {
      this.#fail(tokenExpired(), null);
    } else if (this.headAt === 0 && this.#requestEndedAt !== 0) {
      if (now - Math.max(this.#requestEndedAt, this.#lastActivity) >= timeouts.response) {
        this.#fail(new Refusal('upstream_timeout', 'The service did not answer in time'), null);
      }
    } else if (now - this.#lastActivity >= timeouts.idle) {
      this.#fail(this.#isClientIdle() ? CLIENT_IDLE : SERVICE_IDLE, null);
    }
  }

  /** Whose turn it was when nothing moved any more. */
  #isClientIdle(): boolean {
    return this.headAt === 0 ? !this.#upstreamFull : this.#clientFull;
  }

  #fail(refusal: Refusal, failure: UpstreamFailure | null): void {
    this.#stop();
    this.#context.refuseRelay(this.#exchange, this.#record, refusal, failure);
  }

  #stop(): void {
    this.#finish();
    this.#plan.hold?.end();
    this.#upstream?.abort();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#replay = null;
    this.#exchange.follower = null;
    this.#context.deadlines.forget(this);
    this.#leave();
  }
}

const CLIENT_IDLE = new Refusal('request_timeout', 'The client neither sent nor took anything for too long');
const SERVICE_IDLE = new Refusal(
  'upstream_timeout',
  'The service neither sent nor took anything for too long',
);

/** Trailer fields without those that a header section would not have let through either. */
function allowedTrailers(trailers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < trailers.length; i += 2) {
    if (mayTrail(trailers[i]!)) kept.push(trailers[i]!, trailers[i + 1]!);
  }
  return kept;
}
