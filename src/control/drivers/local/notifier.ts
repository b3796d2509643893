import type { DriverEvent, DriverEvents } from '../../../contracts/driver.ts';

/** Hands what happens to the listener in order, and never while a call into the driver is still on the stack. */
export class Notifier {
  readonly #events: DriverEvents;
  readonly #failed: (error: unknown) => void;

  constructor(events: DriverEvents, failed: (error: unknown) => void) {
    this.#events = events;
    this.#failed = failed;
  }

  changed(deployment: string): void {
    this.#later(() => this.#events.changed(deployment));
  }

  happened(deployment: string, event: DriverEvent): void {
    this.#later(() => this.#events.happened(deployment, event));
  }

  #later(tell: () => void): void {
    queueMicrotask(() => {
      try {
        tell();
      } catch (error) {
        this.#failed(error);
      }
    });
  }
}
