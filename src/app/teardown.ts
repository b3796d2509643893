/** What has to be ended again, last in, first out: also when it is still starting. */
export class Teardown {
  readonly #ends: (() => Promise<void> | void)[] = [];
  readonly #failed: (error: unknown) => void;
  #running: Promise<void> | null = null;

  /** `failed` is told of an end that did not work; the others follow all the same. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  add(end: () => Promise<void> | void): void {
    this.#ends.push(end);
  }

  /** Ends what `starting` brings, whenever it does; one that does not come has nothing to end. */
  own<T>(starting: Promise<T>, end: (started: T) => Promise<void> | void): Promise<T> {
    this.add(async () => {
      const started = await starting.then(
        (value) => ({ value }),
        () => null,
      );
      if (started !== null) await end(started.value);
    });
    return starting;
  }

  /** Ends everything, once. */
  run(): Promise<void> {
    return (this.#running ??= this.#run());
  }

  async #run(): Promise<void> {
    for (const end of this.#ends.reverse()) {
      try {
        await end();
      } catch (error) {
        this.#failed(error);
      }
    }
  }
}
