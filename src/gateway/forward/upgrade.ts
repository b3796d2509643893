import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type ErrorCode, Refusal } from '../../errors.ts';
import type { Permit } from '../authorize.ts';
import type { Watched } from '../deadlines.ts';
import type { UpgradeHandshake } from '../exchange.ts';
import type { Gateway, Service } from '../gateway.ts';
import type { Incoming } from '../incoming.ts';
import { upstreamPath } from '../match-route.ts';
import type { RelayReport } from '../request-record.ts';
import { bodyPassed } from '../message/body-garbage.ts';
import { serviceHeaders } from './forward.ts';
import { Hold, type Waiter } from './hold.ts';
import { gatewayStopping, noReplicaReady, tokenExpired } from './refusals.ts';
import { responseHeaders } from './response-headers.ts';
import type { Upstream, UpstreamGroup } from './upstream-group.ts';
import { refusalOf } from './upstream-failure.ts';
import type { UpstreamFailure } from './upstream-types.ts';
import { closeFrame, FrameTracker } from './web-socket-frames.ts';
import { accepts, isRefusal, sendHandshake, switchingHead } from './web-socket-handshake.ts';

/** Close codes of RFC 6455 section 7.4.1. */
const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;

/** How long either end may take to close after the other one, or after a close frame, in ms. */
const CLOSING = 2_000;

/** Bytes that a client may send ahead of the answer to its handshake before it is no longer read. */
const MOST_EARLY = 64 * 1024;

/** Hands a permitted WebSocket handshake to its service and relays what follows until the token's life ends. */
export function upgrade(
  gateway: Gateway,
  incoming: Incoming,
  service: Service,
  permit: Permit,
  handshake: UpgradeHandshake,
  subprotocols: string | null,
): void {
  if (gateway.draining) throw gatewayStopping();
  const headers = serviceHeaders(incoming, permit);
  if (subprotocols !== null) headers.push('Sec-WebSocket-Protocol', subprotocols);
  const tunnel = new Tunnel(gateway, incoming, handshake, {
    group: service.group,
    hold: permit.route.holdFor === 0 ? null : new Hold(gateway, incoming, permit, service.group),
    path: upstreamPath(permit.route, incoming.target.path) + incoming.target.query,
    headers,
    notAfter: permit.principal?.notAfter ?? Infinity,
    edgeCors: permit.route.cors !== null,
  });
  incoming.record.relay = tunnel;
  tunnel.start();
}

interface TunnelPlan {
  readonly group: UpstreamGroup;
  /** The wait for an upstream where there is none; null = the handshake fails at once. */
  readonly hold: Hold | null;
  readonly path: string;
  readonly headers: readonly string[];
  /** In ms since the epoch. */
  readonly notAfter: number;
  readonly edgeCors: boolean;
}

type Phase = 'held' | 'connecting' | 'awaiting' | 'refused' | 'open' | 'closing';

/**
 * One WebSocket handshake, and the tunnel that comes of it: bytes pass both ways untouched and with back-pressure,
 * and only the frames' borders are followed, so that a close frame can be put between them.
 */
class Tunnel implements Watched, RelayReport, Waiter {
  headAt = 0;
  watchedAt = -1;
  readonly #gateway: Gateway;
  readonly #incoming: Incoming;
  readonly #handshake: UpgradeHandshake;
  readonly #plan: TunnelPlan;
  readonly #frames = new FrameTracker();
  readonly #early: Buffer[] = [];
  #earlyBytes = 0;
  #phase: Phase = 'connecting';
  #group: UpstreamGroup;
  /** Members asked since it last waited. */
  #attempts = 0;
  /** The one that was asked last. */
  #member: Upstream | null = null;
  /** `#member` counts this tunnel. */
  #counted = false;
  #request: ClientRequest | null = null;
  #upstream: Socket | null = null;
  #lastActivity: number;
  /** When there was nothing left to do but to wait for the ends to close; 0 = there still is. */
  #closingSince = 0;

  constructor(gateway: Gateway, incoming: Incoming, handshake: UpgradeHandshake, plan: TunnelPlan) {
    this.#gateway = gateway;
    this.#incoming = incoming;
    this.#handshake = handshake;
    this.#plan = plan;
    this.#group = plan.group;
    this.#lastActivity = gateway.deadlines.now;
  }

  get origin(): string | null {
    return this.#member?.origin ?? null;
  }

  start(): void {
    const { socket } = this.#handshake;
    const { exchange } = this.#incoming;
    const head = this.#handshake.detach((chunk) => this.#fromClient(chunk));
    this.#gateway.deadlines.watch(this);
    this.#gateway.tunnels.add(this);
    exchange.whenSettled(() => this.#settled());
    exchange.follower = this;
    if (!this.#open()) this.#wait(null);
    if (head.length > 0) this.#fromClient(head);
    socket.on('end', () => this.#clientEnded());
    socket.on('drain', () => {
      this.#lastActivity = this.#gateway.deadlines.now;
      this.#upstream?.resume();
    });
  }

  clientGone(): void {
    this.#dropUpstream();
  }

  /** Tells the client that the gateway stops; one that waits for an upstream is told by its `Hold`. */
  goAway(): void {
    if (this.#phase === 'connecting' || this.#phase === 'awaiting') this.#fail(gatewayStopping(), null);
    else if (this.#phase === 'open') this.#close(GOING_AWAY, 'the gateway is stopping', null);
  }

  check(now: number): void {
    const { connect, response, idle } = this.#gateway.settings.timeouts;
    const quiet = now - this.#lastActivity;
    if (this.#closingSince !== 0) {
      if (now - this.#closingSince >= CLOSING) this.#destroy();
      return;
    }
    const expired = now >= this.#plan.notAfter;
    switch (this.#phase) {
      case 'held': // its `Hold` looks at the time
        break;
      case 'connecting':
        if (expired) this.#fail(tokenExpired(), null);
        else if (quiet >= connect) {
          this.#lost({ kind: 'connect-timeout', detail: 'no connection in time' });
        }
        break;
      case 'awaiting':
        if (expired) this.#fail(tokenExpired(), null);
        else if (quiet >= response) this.#fail(timedOut('The service did not answer in time'), null);
        break;
      case 'refused':
        if (expired) this.#fail(tokenExpired(), null);
        else if (quiet >= idle) this.#fail(timedOut('The answer came to a halt'), null);
        break;
      case 'open':
        if (expired) this.#close(POLICY_VIOLATION, 'the token has expired', 'token_expired');
        else if (quiet >= idle) {
          this.#close(GOING_AWAY, 'nothing was received for too long', 'request_timeout');
        }
        break;
      case 'closing':
        if (expired || quiet >= idle) this.#destroy();
        break;
    }
  }

  /** Starts an attempt with the best member; false = there is none. */
  #open(): boolean {
    const { path, headers } = this.#plan;
    const member = this.#group.pick(this.#gateway.deadlines.now);
    if (member === null) return false;
    const request = sendHandshake(member.origin, path, headers);
    this.#attempts++;
    this.#member = member;
    this.#request = request;
    this.#counted = true;
    member.begin();
    this.#phase = 'connecting';
    this.#lastActivity = this.#gateway.deadlines.now;
    request.once('socket', (socket) => {
      socket.once(member.origin.startsWith('https:') ? 'secureConnect' : 'connect', () => {
        this.#phase = 'awaiting';
        this.#lastActivity = this.#gateway.deadlines.now;
      });
    });
    request.once('upgrade', (response: IncomingMessage, upstream: Socket, head: Buffer) =>
      this.#accepted(response, upstream, head),
    );
    request.once('response', (response) => this.#refused(response));
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (request === this.#request) this.#lost(failureOf(error, this.#phase === 'connecting'));
    });
    request.end();
    return true;
  }

  /** The member has nothing to do with this tunnel any more. */
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
    this.#phase = 'held';
    hold.begin(refused, this);
  }

  onReady(group: UpstreamGroup): void {
    this.#group = group;
    this.#attempts = 0;
    if (!this.#open()) this.#wait(null);
  }

  onNotReady(refusal: Refusal): void {
    this.#fail(refusal, null);
  }

  /** The connection was lost before there was an answer. */
  #lost(failure: UpstreamFailure): void {
    if (this.#phase !== 'connecting' && this.#phase !== 'awaiting') return;
    const member = this.#member!;
    this.#leave();
    if (this.#phase === 'connecting') {
      this.#group.avoid(member, this.#gateway.deadlines.now);
      this.#dropUpstream();
      if (this.#attempts < this.#group.size && this.#open()) return;
      if (this.#plan.hold !== null) {
        this.#wait(member.origin);
        return;
      }
    }
    this.#fail(refusalOf(failure), failure);
  }

  #accepted(response: IncomingMessage, upstream: Socket, head: Buffer): void {
    const { socket, key } = this.#handshake;
    const { exchange, record } = this.#incoming;
    upstream.on('error', () => undefined); // `close` follows
    this.#upstream = upstream;
    if (!accepts(key, response)) {
      this.#invalid('the answer to the handshake does not fit its key');
      return;
    }
    this.#phase = 'open';
    this.headAt = performance.now();
    this.#lastActivity = this.#gateway.deadlines.now;
    exchange.status = 101;
    socket.write(switchingHead(response, record.cors, this.#plan.edgeCors), 'latin1');
    upstream.setNoDelay(true);
    upstream.on('drain', () => {
      this.#lastActivity = this.#gateway.deadlines.now;
      socket.resume();
    });
    upstream.on('close', () => this.#upstreamEnded());
    if (head.length > 0) this.#fromUpstream(head);
    for (const chunk of this.#early) upstream.write(chunk);
    this.#early.length = 0;
    if (!upstream.writableNeedDrain) socket.resume();
    if (socket.readableEnded) this.#clientEnded();
    upstream.on('data', (chunk: Buffer) => this.#fromUpstream(chunk));
  }

  /** Passes on an answer that is none to a handshake. */
  #refused(response: IncomingMessage): void {
    const { exchange, record } = this.#incoming;
    const { edgeCors } = this.#plan;
    const status = response.statusCode ?? 0;
    if (!isRefusal(response)) {
      this.#invalid('neither a handshake nor a refusal');
      return;
    }
    const headers = responseHeaders(response.rawHeaders, record.cors, status !== 204, edgeCors);
    try {
      exchange.sendHead(status, response.statusMessage ?? '', headers);
    } catch (error) {
      this.#invalid(String(error)); // node's client reads more than its server writes
      return;
    }
    this.#phase = 'refused';
    this.headAt = performance.now();
    this.#lastActivity = this.#gateway.deadlines.now;
    response.on('data', (chunk: Buffer) => {
      bodyPassed(chunk.length);
      this.#lastActivity = this.#gateway.deadlines.now;
      if (exchange.settled || exchange.write(chunk)) return;
      response.pause();
      exchange.whenWritable(() => response.resume());
    });
    response.once('close', () => {
      if (exchange.settled) return;
      if (response.complete) exchange.end(null, []);
      else {
        const failure = { kind: 'reset', detail: 'closed in the middle of an answer' } as const;
        this.#fail(refusalOf(failure), failure);
      }
    });
  }

  #fromClient(chunk: Buffer): void {
    const { exchange } = this.#incoming;
    if (this.#phase === 'open') {
      bodyPassed(chunk.length);
      exchange.bytesIn += chunk.length;
      this.#lastActivity = this.#gateway.deadlines.now;
      if (!this.#upstream!.write(chunk)) this.#handshake.socket.pause();
    } else if (this.#isWaiting) {
      exchange.bytesIn += chunk.length;
      this.#early.push(chunk);
      this.#earlyBytes += chunk.length;
      if (this.#earlyBytes >= MOST_EARLY) this.#handshake.socket.pause();
    }
  }

  /** There is no answer to the handshake yet. */
  get #isWaiting(): boolean {
    return this.#phase === 'held' || this.#phase === 'connecting' || this.#phase === 'awaiting';
  }

  #fromUpstream(chunk: Buffer): void {
    if (this.#phase !== 'open') return;
    bodyPassed(chunk.length);
    this.#frames.follow(chunk);
    this.#incoming.exchange.bytesOut += chunk.length;
    this.#lastActivity = this.#gateway.deadlines.now;
    if (!this.#handshake.socket.write(chunk)) this.#upstream!.pause();
  }

  /** The client sends no more. On a handshake without an answer that means that it has given up. */
  #clientEnded(): void {
    if (this.#phase === 'open') {
      this.#upstream!.end(() => this.#startClosing());
    } else if (this.#isWaiting) {
      this.#handshake.socket.destroy();
    }
  }

  /** The service has closed; what it sent last is still on its way to the client. */
  #upstreamEnded(): void {
    if (this.#phase !== 'open') return;
    const { socket } = this.#handshake;
    this.#phase = 'closing';
    socket.resume();
    socket.end(() => this.#startClosing());
  }

  #startClosing(): void {
    if (this.#closingSince === 0) this.#closingSince = this.#gateway.deadlines.now;
  }

  /** Ends the tunnel from here, with a close frame where one can stand. */
  #close(status: number, reason: string, code: ErrorCode | null): void {
    const { socket } = this.#handshake;
    this.#phase = 'closing';
    this.#incoming.exchange.code = code;
    this.#startClosing();
    this.#dropUpstream();
    if (!this.#frames.atBoundary) {
      socket.destroy();
      return;
    }
    socket.resume();
    socket.end(closeFrame(status, reason));
  }

  #invalid(detail: string): void {
    const failure = { kind: 'invalid', detail } as const;
    this.#fail(refusalOf(failure), failure);
  }

  #fail(refusal: Refusal, failure: UpstreamFailure | null): void {
    const { exchange, record } = this.#incoming;
    this.#phase = 'closing';
    this.#dropUpstream();
    this.#gateway.refuseRelay(exchange, record, refusal, failure);
  }

  #dropUpstream(): void {
    const request = this.#request;
    this.#request = null;
    this.#plan.hold?.end();
    this.#upstream?.destroy();
    request?.destroy();
  }

  #destroy(): void {
    this.#dropUpstream();
    this.#handshake.socket.destroy();
  }

  #settled(): void {
    this.#leave();
    this.#gateway.deadlines.forget(this);
    this.#gateway.tunnels.delete(this);
    this.#early.length = 0;
  }
}

function timedOut(detail: string): Refusal {
  return new Refusal('upstream_timeout', detail);
}

function failureOf({ code = '', message }: NodeJS.ErrnoException, connecting: boolean): UpstreamFailure {
  if (connecting) return { kind: 'unreachable', detail: message };
  return { kind: code.startsWith('HPE_') ? 'invalid' : 'reset', detail: message };
}
