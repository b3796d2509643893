import { createHash } from 'node:crypto';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { createProxyServer } from 'http-proxy-3';
import { Refusal } from '../../errors.ts';
import type { Permit } from '../authorize.ts';
import type { Watched } from '../deadlines.ts';
import type { Gateway, Service } from '../gateway.ts';
import type { Incoming } from '../incoming.ts';
import { upstreamPath } from '../match-route.ts';
import type { RelayReport } from '../request-record.ts';
import { serviceHeaders } from './forward.ts';
import type { Upstream } from './upstream-group.ts';
import { closeFrame, FrameTracker } from './web-socket-frames.ts';

/** A WebSocket handshake as node hands it over: the parser has let go of the socket. */
export interface UpgradeHandshake {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** Bytes that came behind the handshake. */
  readonly head: Buffer;
}

/** Close codes of RFC 6455 section 7.4.1. */
const GOING_AWAY = 1001;
const POLICY_VIOLATION = 1008;

/** How long a client may take to answer a close frame, in ms. */
const CLOSING = 2_000;

/** Hands a permitted WebSocket handshake to its service and relays what follows until the token's life ends. */
export function upgrade(
  gateway: Gateway,
  incoming: Incoming,
  service: Service,
  permit: Permit,
  handshake: UpgradeHandshake,
  subprotocols: string | null,
): void {
  const member = service.group.pick(gateway.deadlines.now);
  if (member === null)
    throw new Refusal('service_unavailable', 'No replica of the service is ready', { retryAfter: 1 });
  const headers = serviceHeaders(incoming, permit);
  if (subprotocols !== null) headers.push('Sec-WebSocket-Protocol', subprotocols);
  const { request } = handshake;
  request.url = upstreamPath(permit.route, incoming.target.path) + incoming.target.query;
  request.headers = handshakeHeaders(headers, member.origin);
  const tunnel = new Tunnel(gateway, incoming, handshake, member, permit.principal?.notAfter ?? Infinity);
  incoming.record.relay = tunnel;
  tunnel.open();
}

/** One upgraded connection: http-proxy-3 moves the bytes, this watches over them. */
export class Tunnel implements Watched, RelayReport {
  headAt = 0;
  readonly origin: string;
  readonly #gateway: Gateway;
  readonly #incoming: Incoming;
  readonly #handshake: UpgradeHandshake;
  readonly #member: Upstream;
  readonly #notAfter: number;
  readonly #startedAt: number;
  readonly #frames = new FrameTracker();
  readonly #writeToClient: Socket['write'];
  #lastActivity: number;
  #proxied: ClientRequest | null = null;
  #upstream: Socket | null = null;
  #refusal: Refusal | null = null;
  /** When the close frame was sent; 0 = it was not. */
  #closingSince = 0;

  constructor(
    gateway: Gateway,
    incoming: Incoming,
    handshake: UpgradeHandshake,
    member: Upstream,
    notAfter: number,
  ) {
    this.#gateway = gateway;
    this.#incoming = incoming;
    this.#handshake = handshake;
    this.#member = member;
    this.#notAfter = notAfter;
    this.#startedAt = this.#lastActivity = gateway.deadlines.now;
    this.#writeToClient = handshake.socket.write.bind(handshake.socket);
    this.origin = member.origin;
  }

  open(): void {
    const { request, socket, head } = this.#handshake;
    const { exchange } = this.#incoming;
    this.#member.outstanding++;
    this.#gateway.deadlines.watch(this);
    this.#gateway.tunnels.add(this);
    this.#gateway.whenSettled(exchange, () => {
      this.#member.outstanding--;
      this.#gateway.deadlines.forget(this);
      this.#gateway.tunnels.delete(this);
    });
    exchange.onGone = () => this.#dropUpstream();
    const proxy = createProxyServer({ target: this.origin, prependPath: false, toProxy: true });
    const failed = (error: Error): void => this.#failed(error);
    proxy.on('error', failed);
    proxy.on('proxyReqWs', (proxied) => this.#watchHandshake(proxied));
    proxy.ws(request, socket, head, {}, failed);
  }

  /** Tells both ends that the gateway stops. */
  goAway(): void {
    if (this.headAt === 0)
      this.#refuse(new Refusal('service_unavailable', 'The gateway is stopping', { retryAfter: 1 }));
    else this.#close(GOING_AWAY, 'the gateway is stopping');
  }

  check(now: number): void {
    const { response, idle } = this.#gateway.settings.timeouts;
    if (this.#closingSince !== 0) {
      if (now - this.#closingSince >= CLOSING) this.#handshake.socket.destroy();
    } else if (this.headAt === 0) {
      if (now >= this.#notAfter) this.#refuse(new Refusal('token_expired', 'The token has expired'));
      else if (now - this.#startedAt >= response) {
        this.#refuse(new Refusal('upstream_timeout', 'The service did not answer in time'));
      }
    } else if (now >= this.#notAfter) {
      this.#close(POLICY_VIOLATION, 'the token has expired');
    } else if (now - this.#lastActivity >= idle) {
      this.#close(GOING_AWAY, 'nothing was received for too long');
    }
  }

  #watchHandshake(proxied: ClientRequest): void {
    this.#proxied = proxied;
    const { exchange } = this.#incoming;
    proxied.prependOnceListener('upgrade', (response: IncomingMessage, upstream: Socket) => {
      this.headAt = performance.now();
      this.#upstream = upstream;
      if (!accepts(this.#handshake.request, response)) {
        proxied.removeAllListeners('upgrade');
        upstream.destroy();
        this.#failed(new Error('The answer to the handshake does not fit its key'));
        return;
      }
      exchange.status = 101;
      this.#followFrames();
    });
    proxied.prependOnceListener('response', (response) => {
      this.headAt = performance.now();
      exchange.status = response.statusCode ?? 0;
    });
  }

  /** Looks at what http-proxy-3 writes to the client: first the head of the 101, then frames. */
  #followFrames(): void {
    const { socket } = this.#handshake;
    const { deadlines } = this.#gateway;
    const { exchange } = this.#incoming;
    let isHead = true;
    socket.write = (chunk: string | Uint8Array, ...rest: never[]): boolean => {
      if (!isHead && typeof chunk !== 'string') {
        const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
        this.#frames.follow(bytes);
        exchange.bytesOut += bytes.length;
      }
      isHead = false;
      this.#lastActivity = deadlines.now;
      return this.#writeToClient(chunk, ...rest);
    };
    socket.on('data', (chunk: Buffer) => {
      exchange.bytesIn += chunk.length;
      this.#lastActivity = deadlines.now;
    });
  }

  #failed(error: Error): void {
    const { exchange, record } = this.#incoming;
    if (exchange.settled || this.#closingSince !== 0) return;
    if (exchange.status === 101) {
      exchange.cut();
      return;
    }
    const refusal = this.#refusal ?? failureOf(error);
    this.#gateway.refuseRelay(exchange, record, refusal, { kind: 'reset', detail: error.message });
  }

  #refuse(refusal: Refusal): void {
    this.#refusal = refusal;
    this.#proxied?.destroy(new Error(refusal.message));
  }

  /** Ends the tunnel from here, with a close frame where one can stand. */
  #close(code: number, reason: string): void {
    const { socket } = this.#handshake;
    this.#closingSince = this.#gateway.deadlines.now;
    this.#upstream?.unpipe(socket);
    if (this.#frames.atBoundary) this.#writeToClient(closeFrame(code, reason));
    else socket.destroy();
    this.#dropUpstream();
    socket.end();
  }

  #dropUpstream(): void {
    this.#upstream?.destroy();
    this.#proxied?.destroy();
  }
}

function failureOf(error: Error): Refusal {
  const code = 'code' in error ? String(error.code) : '';
  if (code === 'ECONNECT_TIMEOUT')
    return new Refusal('upstream_timeout', 'The service did not accept a connection in time');
  if (code === '' || code.startsWith('HPE_')) {
    return new Refusal(
      'upstream_invalid',
      'The service answered the handshake with something that is no answer to it',
    );
  }
  return new Refusal('upstream_unreachable', 'The service could not be reached');
}

/** Whether the 101 answers this very handshake (RFC 6455 section 4.2.2). */
function accepts(request: IncomingMessage, response: IncomingMessage): boolean {
  const key = request.headers['sec-websocket-key'];
  if (key === undefined) return false;
  const expected = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return (
    response.headers['sec-websocket-accept'] === expected &&
    response.headers.upgrade?.toLowerCase() === 'websocket'
  );
}

/** Flat header fields in the form that `node:http` sends them in. */
function handshakeHeaders(flat: readonly string[], origin: string): NodeJS.Dict<string> {
  const fields: NodeJS.Dict<string> = {
    host: new URL(origin).host,
    connection: 'Upgrade',
    upgrade: 'websocket',
  };
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i]!.toLowerCase();
    const before = fields[name];
    fields[name] = before === undefined ? flat[i + 1]! : `${before}, ${flat[i + 1]!}`;
  }
  return fields;
}
