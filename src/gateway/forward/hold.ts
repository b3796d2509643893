import { Refusal } from '../../errors.ts';
import { authorize, type Permit } from '../authorize.ts';
import type { Watched } from '../deadlines.ts';
import type { Gateway } from '../gateway.ts';
import type { Incoming } from '../incoming.ts';
import { gatewayStopping, noReplicaReady, tokenExpired } from './refusals.ts';
import type { UpstreamGroup } from './upstream-group.ts';

/** How often a request waits: a replica that is said to be ready and takes no connection must not keep it going. */
const MOST_ROUNDS = 10;

/** What waits: it is told of one of the two, unless the wait was ended before. */
export interface Waiter {
  /** The group has a member by now. */
  onReady(group: UpstreamGroup): void;
  onNotReady(refusal: Refusal): void;
}

/**
 * The wait of one permitted request for an upstream of its service: at most `holdFor` in all, from when it first had
 * none. It ends with the token's life, when the gateway stops, and when the client leaves. Nothing of a body is asked
 * for meanwhile; a client that leaves behind more of it than the connection reads ahead is not noticed until something is written.
 */
export class Hold implements Watched {
  watchedAt = -1;
  readonly #gateway: Gateway;
  readonly #incoming: Incoming;
  readonly #permit: Permit;
  readonly #group: UpstreamGroup;
  #rounds = 0;
  /** In ms since the epoch; 0 = it did not wait yet. */
  #until = 0;
  #waiting: { readonly waiter: Waiter; readonly asking: AbortController } | null = null;

  constructor(gateway: Gateway, incoming: Incoming, permit: Permit, group: UpstreamGroup) {
    this.#gateway = gateway;
    this.#incoming = incoming;
    this.#permit = permit;
    this.#group = group;
  }

  /** Waits until there is an upstream. `refused`: the origin that just took no connection; null = there is none. */
  begin(refused: string | null, waiter: Waiter): void {
    const { deadlines, holds } = this.#gateway;
    if (this.#until === 0) this.#until = deadlines.now + this.#permit.route.holdFor;
    const obstacle = this.#obstacle();
    if (obstacle !== null) {
      waiter.onNotReady(obstacle);
      return;
    }
    const asking = new AbortController();
    this.#rounds++;
    this.#group.held++;
    this.#waiting = { waiter, asking };
    holds.add(this);
    deadlines.watch(this);
    const { exchange, record } = this.#incoming;
    this.#ask(refused, asking.signal)
      .then((ready) => {
        if (asking.signal.aborted) return;
        this.#release();
        if (ready) this.#proceed(waiter);
        else waiter.onNotReady(noReplicaReady());
      })
      .catch((error: unknown) => this.#gateway.refuse(exchange, record, error));
  }

  /** Nobody waits any more. */
  end(): void {
    this.#release()?.asking.abort();
  }

  /** The gateway stops. */
  goAway(): void {
    this.#fail(gatewayStopping());
  }

  check(now: number): void {
    if (now >= (this.#permit.principal?.notAfter ?? Infinity)) this.#fail(tokenExpired());
    else if (now >= this.#until) this.#fail(noReplicaReady());
  }

  #obstacle(): Refusal | null {
    if (this.#gateway.draining) return gatewayStopping();
    if (this.#rounds >= MOST_ROUNDS || this.#gateway.deadlines.now >= this.#until) return noReplicaReady();
    // Over HTTP/2 a connection may bring hundreds of them.
    if (this.#group.held < this.#gateway.connectionShare) return null;
    return new Refusal('overloaded', 'Too many requests wait for this service', { retryAfter: 1 });
  }

  async #ask(refused: string | null, signal: AbortSignal): Promise<boolean> {
    const route = this.#permit.route.name;
    try {
      return await this.#gateway.control.awaitUpstream(route, refused, signal);
    } catch (err) {
      if (!signal.aborted)
        this.#gateway.log.warn({ err, route }, 'The primary could not be asked for an upstream');
      return false;
    }
  }

  /** The service may have changed meanwhile: its policy of now decides, and its replicas of now are asked. */
  #proceed(waiter: Waiter): void {
    const { view, target } = this.#incoming;
    const { route, principal } = this.#permit;
    const service = this.#gateway.match(view.hostname, target.path);
    if (service === null || service.route.name !== route.name || service.route.realm !== route.realm) {
      waiter.onNotReady(noReplicaReady());
      return;
    }
    authorize(service.route, principal);
    waiter.onReady(service.group);
  }

  #fail(refusal: Refusal): void {
    const waiting = this.#release();
    waiting?.asking.abort();
    waiting?.waiter.onNotReady(refusal);
  }

  #release() {
    const waiting = this.#waiting;
    if (waiting === null) return null;
    this.#waiting = null;
    this.#group.held--;
    this.#gateway.holds.delete(this);
    this.#gateway.deadlines.forget(this);
    return waiting;
  }
}
