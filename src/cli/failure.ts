/** It ran and the answer is no: lines for the user, exit 1. Never with a token, a password or a secret's value. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly lines: readonly string[];

  constructor(...lines: readonly [string, ...string[]]) {
    super(lines[0]);
    this.lines = lines;
  }
}
