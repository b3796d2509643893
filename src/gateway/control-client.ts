import type { ControlChannel, RateBucket, RateVerdict } from '../contracts/control-channel.ts';
import type { FromWorker, Question } from '../contracts/worker-messages.ts';

/** How long the primary may take to answer, in ms: longer than any of its own time-outs. */
const PATIENCE = 15_000;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Gives up what would end the wait. */
  readonly settled: () => void;
}

/** A worker's end of the channel to the primary. */
export class ControlClient implements ControlChannel {
  readonly #send: (message: FromWorker) => void;
  readonly #pending = new Map<number, Pending>();
  /** Questions for a place that nobody waits for any more: id → key. */
  readonly #abandoned = new Map<number, string>();
  #lastId = 0;

  constructor(send: (message: FromWorker) => void) {
    this.#send = send;
  }

  refreshKeys(realm: string): Promise<void> {
    return this.#ask<undefined>({ call: 'refreshKeys', args: [realm] });
  }

  introspect(realm: string, token: string): Promise<Record<string, unknown> | null> {
    return this.#ask({ call: 'introspect', args: [realm, token] });
  }

  takeRate(buckets: readonly RateBucket[]): Promise<RateVerdict> {
    return this.#ask({ call: 'takeRate', args: [buckets] });
  }

  enter(key: string, limit: number): Promise<boolean> {
    return this.#ask({ call: 'enter', args: [key, limit] });
  }

  leave(key: string): void {
    this.#send({ kind: 'leave', key });
  }

  backchannelLogout(realm: string, logoutToken: string): Promise<boolean> {
    return this.#ask({ call: 'backchannelLogout', args: [realm, logoutToken] });
  }

  /** Waits for as long as `signal` lets it: a service may take longer to start than the primary to answer. */
  awaitUpstream(route: string, refused: string | null, signal: AbortSignal): Promise<boolean> {
    const id = ++this.#lastId;
    return new Promise<boolean>((resolve, reject) => {
      const withdraw = (): void => {
        this.#pending.delete(id);
        this.#send({ kind: 'withdraw', id });
        reject(signal.reason as Error);
      };
      const settled = (): void => signal.removeEventListener('abort', withdraw);
      this.#send({ kind: 'ask', id, question: { call: 'awaitUpstream', args: [route, refused] } });
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject, settled });
      signal.addEventListener('abort', withdraw, { once: true });
    });
  }

  answered(id: number, value: unknown): void {
    const key = this.#abandoned.get(id);
    this.#abandoned.delete(id);
    // A place that came too late would never be given back by anybody else.
    if (key !== undefined && value === true) this.leave(key);
    this.#take(id)?.resolve(value);
  }

  notAnswered(id: number, message: string): void {
    this.#abandoned.delete(id);
    this.#take(id)?.reject(new Error(message));
  }

  #ask<T>(question: Question): Promise<T> {
    const id = ++this.#lastId;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.notAnswered(id, 'The primary did not answer in time');
        if (question.call === 'enter') this.#abandoned.set(id, question.args[0]);
      }, PATIENCE);
      const settled = (): void => clearTimeout(timer);
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject, settled });
      this.#send({ kind: 'ask', id, question });
    });
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.settled();
    return pending;
  }
}
