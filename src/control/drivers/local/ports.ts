import type { LocalDriverSettings } from '../../../contracts/settings.ts';
import { isFree } from './probe.ts';
import { listenerName } from './port-owner.ts';

/** There is no port to be had; says why. */
class NoPort extends Error {}

/** Which replica holds which port. No port is ever held twice. */
export class Ports {
  readonly #range: LocalDriverSettings['portRange'];
  readonly #holders = new Map<number, string>();
  /** Ports that somebody can do with no other than, and for how many deployments. */
  readonly #reserved = new Map<number, number>();
  #next: number;

  constructor(range: LocalDriverSettings['portRange']) {
    this.#range = range;
    this.#next = range.first;
  }

  /** From now on only `takeFixed` gets the port. */
  reserve(port: number): void {
    this.#reserved.set(port, (this.#reserved.get(port) ?? 0) + 1);
  }

  isReserved(port: number): boolean {
    return this.#reserved.has(port);
  }

  unreserve(port: number): void {
    const left = (this.#reserved.get(port) ?? 0) - 1;
    if (left > 0) this.#reserved.set(port, left);
    else this.#reserved.delete(port);
  }

  /** The port itself, for a replica that can do with no other. Rejects with `NoPort`, which says who has it. */
  async takeFixed(port: number, holder: string): Promise<number> {
    const other = this.holderOf(port);
    if (other !== null && other !== holder) throw new NoPort(`Port ${port} is held by replica ${other}`);
    if (await this.#take(port, holder)) return port;
    throw new NoPort((await this.stranger(port)) ?? `Port ${port} was in use until now`);
  }

  /** Id of the replica that has the port, or null. */
  holderOf(port: number): string | null {
    return this.#holders.get(port) ?? null;
  }

  /** What else has a port that no replica holds, in a sentence; null = nothing. */
  async stranger(port: number): Promise<string | null> {
    if (await isFree(port)) return null;
    const who = await listenerName(port);
    return who === null
      ? `Port ${port} is in use by another program, or not for this user to listen on`
      : `Port ${port} is in use by ${who}`;
  }

  /** The first of `wished` that is free, else one of the range. Rejects with `NoPort`. */
  async take(wished: readonly number[], holder: string): Promise<number> {
    for (const port of wished) {
      if (!this.isReserved(port) && (await this.#take(port, holder))) return port;
    }
    const { first, last } = this.#range;
    const size = last - first + 1;
    for (let tried = 0; tried < size; tried++) {
      // One that was given back is not given out again at once: old connections may still be on their way to it.
      const port = this.#next;
      this.#next = port === last ? first : port + 1;
      if (!this.isReserved(port) && (await this.#take(port, holder))) return port;
    }
    throw new NoPort(
      `None of the ports ${first} to ${last} is free: widen services.local.portRange, or end something`,
    );
  }

  release(port: number, holder: string): void {
    if (this.#holders.get(port) === holder) this.#holders.delete(port);
  }

  async #take(port: number, holder: string): Promise<boolean> {
    const before = this.#holders.get(port);
    if (before !== undefined && before !== holder) return false;
    this.#holders.set(port, holder); // before the look, so that nobody else looks meanwhile
    if (await isFree(port)) return true;
    this.#holders.delete(port);
    return false;
  }
}
