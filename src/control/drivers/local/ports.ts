import type { LocalDriverSettings } from '../../../contracts/settings.ts';
import { isFree } from './probe.ts';
import { listenerName } from './port-owner.ts';

/** There is no port to be had; says why. */
class NoPort extends Error {}

/** Which replica holds which port. No port is ever held twice. */
export class Ports {
  readonly #range: LocalDriverSettings['portRange'];
  readonly #holders = new Map<number, string>();
  #next: number;

  constructor(range: LocalDriverSettings['portRange']) {
    this.#range = range;
    this.#next = range.first;
  }

  /** The port itself, for a replica that can do with no other. Rejects with `NoPort`, which says who has it. */
  async takeFixed(port: number, holder: string): Promise<number> {
    const other = this.#holders.get(port);
    if (other !== undefined && other !== holder) throw new NoPort(`Port ${port} is held by replica ${other}`);
    if (await this.#take(port, holder)) return port;
    const who = (await listenerName(port)) ?? 'another program';
    throw new NoPort(`Port ${port} is in use by ${who}`);
  }

  /** The first of `wished` that is free, else one of the range. Rejects with `NoPort`. */
  async take(wished: readonly number[], holder: string): Promise<number> {
    for (const port of wished) if (await this.#take(port, holder)) return port;
    const { first, last } = this.#range;
    const size = last - first + 1;
    for (let tried = 0; tried < size; tried++) {
      // One that was given back is not given out again at once: old connections may still be on their way to it.
      const port = this.#next;
      this.#next = port === last ? first : port + 1;
      if (await this.#take(port, holder)) return port;
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
