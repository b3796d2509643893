/**
 * What must hold while something changes: from `begin` on either the old or the new is right, from `settle` on only
 * the new. An exchange is judged by what was right at any moment of it.
 */
export class Timeline<T> {
  #right: readonly T[];

  constructor(first: T) {
    this.#right = [first];
  }

  /** Everything that is right now. */
  get right(): readonly T[] {
    return this.#right;
  }

  /** What the last change leads to. */
  get latest(): T {
    return this.#right.at(-1)!;
  }

  begin(next: T): void {
    this.#right = [...this.#right, next];
  }

  settle(): void {
    this.#right = [this.latest];
  }

  /** Call it when an exchange begins, and the result when it has ended: everything that was right in between. */
  watch(): () => readonly T[] {
    const before = this.#right;
    return () => [...before, ...this.#right];
  }
}
