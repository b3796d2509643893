import type { Socket } from 'node:net';
import type { ErrorCode, Refusal } from '../errors.ts';
import { newRequestId } from '../telemetry/trace-context.ts';
import type { RequestHead } from './request-head.ts';

/** What follows a head: nothing, so many bytes, or an unknown number of them. */
export type BodyFraming = 'none' | 'chunked' | number;

/** A WebSocket handshake that waits for its answer. */
export interface UpgradeHandshake {
  readonly socket: Socket;
  /** `Sec-WebSocket-Key`; empty where there is none. */
  readonly key: string;
  /** Gives the socket over: `onData` takes what comes. Returns the bytes that came right behind the handshake. */
  detach(onData: (chunk: Buffer) => void): Buffer;
}

/** Who began with an exchange, and is told how it ends. */
export interface ExchangeOwner {
  /** Exactly once. */
  settled(): void;
  /** The rest of the request cannot be read: the client is to be told, where it can be. */
  broken(refusal: Refusal): void;
}

/** Who has to stop when the client goes away. */
export interface ExchangeFollower {
  clientGone(): void;
}

/**
 * One request and its response as the client sees them, whatever the protocol version. The rest of the data path
 * reads and answers requests through this alone.
 *
 * A response is `sendHead`, any number of `write`s, then `end`; or `cut`, which makes sure that the client notices
 * that something is missing. Its owner is told once that it has settled, when either happened or the client has gone.
 *
 * Owner and follower are objects and no closures: with two closures for each request, what those hold outlived the
 * scavenges as long as not all of it ran at V8's highest tier. That was half of all that is allocated, 5 us a request.
 */
export abstract class Exchange {
  readonly startedAt = performance.now();
  abstract readonly method: string;
  /** The request target, unchecked. */
  abstract readonly target: string;
  /** Flat [name, value, ...] as received. */
  abstract readonly rawHeaders: readonly string[];
  abstract readonly httpVersion: string;
  /** HTTP/2's `:authority`; null with HTTP/1. */
  abstract readonly authority: string | null;
  /** Address of the other end of the connection. */
  abstract readonly peer: string;
  abstract readonly secure: boolean;
  abstract readonly requestComplete: boolean;

  /** Status sent; 0 until then. */
  status = 0;
  /** Error code where the gateway itself answered. */
  code: ErrorCode | null = null;
  bytesIn = 0;
  bytesOut = 0;
  settled = false;
  /** The client went away before its response was complete. An upgraded connection has no other end. */
  abandoned = false;
  /** Set once the head was understood, where it asks for a WebSocket. */
  handshake: UpgradeHandshake | null = null;
  #requestId: string | null = null;

  owner: ExchangeOwner | null = null;
  follower: ExchangeFollower | null = null;
  #afterwards: (() => void)[] | null = null;

  /** Takes what the head says about the connection and the body, and returns how that is framed. */
  abstract understood(head: RequestHead): BodyFraming;

  get requestId(): string {
    return (this.#requestId ??= newRequestId());
  }

  /** Takes over the id that a trusted proxy gave. */
  set requestId(id: string) {
    this.#requestId = id;
  }

  get headSent(): boolean {
    return this.status !== 0;
  }

  /** `headers` is the callee's to keep. */
  abstract sendHead(status: number, reason: string, headers: string[]): void;
  /** A 1xx answer other than 101. */
  abstract inform(status: number, headers: readonly string[]): void;
  /** False = wait for the callback given to `whenWritable`. */
  abstract write(chunk: Buffer): boolean;
  /** Whether a chunk that was given to `write` or `end` may still be needed; its memory must not change as long. */
  abstract readonly holdsBytes: boolean;
  abstract whenWritable(callback: () => void): void;
  abstract end(chunk: Buffer | null, trailers: readonly string[]): void;
  /** Ends the connection or stream in a way that no client takes for a complete response. */
  abstract cut(): void;
  /**
   * Streams the request's body; `onData` returns false to pause until `resumeBody`. `holdsData`, asked right after it,
   * says whether a chunk may still be needed; the memory of one that is not may be written to again.
   */
  abstract readBody(
    onData: (chunk: Buffer) => boolean,
    onEnd: (trailers: readonly string[]) => void,
    holdsData: () => boolean,
  ): void;
  abstract resumeBody(): void;
  /** The response ends the connection (HTTP/1). To be said before `sendHead`. */
  abstract closeConnection(): void;

  /** The client went away before the response was complete. */
  clientGone(): void {
    if (this.settled) return;
    this.abandoned = this.status !== 101;
    this.#stopFollower();
    this.settle();
  }

  /** The rest of the request cannot be read: whatever is under way stops, and the client is told where it can be. */
  breakOff(refusal: Refusal): void {
    if (this.settled) return;
    this.#stopFollower();
    this.owner?.broken(refusal);
  }

  /** Calls back once the exchange has settled and its owner knows, at once where it has already. */
  whenSettled(callback: () => void): void {
    if (this.settled) callback();
    else (this.#afterwards ??= []).push(callback);
  }

  protected settle(): void {
    if (this.settled) return;
    this.settled = true;
    this.follower = null;
    this.owner?.settled();
    if (this.#afterwards !== null) for (const callback of this.#afterwards) callback();
  }

  #stopFollower(): void {
    const { follower } = this;
    this.follower = null;
    follower?.clientGone();
  }
}
