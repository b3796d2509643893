import { quote } from '../../text/quote.ts';
import { suggest } from '../../text/suggest.ts';
import type { Field, YamlFile } from './yaml-file.ts';

interface Entry {
  /** Where the name stands, or the task where it has none. */
  readonly field: Field;
  readonly name: string | null;
  /** undefined = the task waits for the one before. */
  readonly dependsOn: Field | undefined;
}

/** Which task waits for which, by their names in the file. */
export class TaskOrder {
  readonly #file: YamlFile;
  readonly #entries: Entry[] = [];
  readonly #positions = new Map<string, number>();

  constructor(file: YamlFile) {
    this.#file = file;
  }

  /** In the order of the file. */
  add(field: Field, name: string | null, dependsOn: Field | undefined): void {
    const position = this.#entries.push({ field, name, dependsOn }) - 1;
    if (name === null) return;
    const first = this.#positions.get(name);
    if (first === undefined) this.#positions.set(name, position);
    else {
      this.#file.fault(
        field,
        `${quote(name)} is the name of tasks[${first}] already; every task has its own`,
      );
    }
  }

  /** Positions of the tasks that each one waits for. Reports names that no task has, and cycles. */
  resolve(): number[][] {
    const after = this.#entries.map(({ dependsOn }, i) =>
      dependsOn === undefined ? (i === 0 ? [] : [i - 1]) : this.#named(dependsOn),
    );
    this.#reportCycles(after);
    return after;
  }

  #named(dependsOn: Field): number[] {
    const items = this.#file.list(
      dependsOn,
      'a list of names of tasks; [] starts the task at once, and without the key it waits for the task before',
    );
    const positions = new Set<number>();
    for (const item of items ?? []) {
      const name = this.#file.text(item, 'the name of a task');
      if (name === null) continue;
      const position = this.#positions.get(name);
      if (position === undefined) this.#unknown(item, name);
      else positions.add(position);
    }
    return [...positions];
  }

  #unknown(item: Field, name: string): void {
    const names = [...this.#positions.keys()];
    const meant = suggest(name, names);
    const advice =
      meant === null ? `the tasks are ${names.map(quote).join(', ')}` : `did you mean ${quote(meant)}?`;
    this.#file.fault(item, `${quote(name)} is the name of no task: ${advice}`);
  }

  #reportCycles(after: readonly (readonly number[])[]): void {
    const ended = new Set<number>();
    for (;;) {
      const ready = after.findIndex((needed, i) => !ended.has(i) && needed.every((j) => ended.has(j)));
      if (ready >= 0) {
        ended.add(ready);
        continue;
      }
      const stuck = after.findIndex((_, i) => !ended.has(i));
      if (stuck < 0) return;
      const cycle = findCycle(stuck, (i) => after[i]!.find((j) => !ended.has(j))!);
      this.#reportCycle(cycle);
      for (const i of cycle) ended.add(i);
    }
  }

  #reportCycle(cycle: readonly number[]): void {
    const first = Math.min(...cycle);
    const start = cycle.indexOf(first);
    const steps = [...cycle.slice(start), ...cycle.slice(0, start), first];
    const words = steps.map((i) => this.#call(i)).join(' waits for ');
    const implied = cycle.some((i) => this.#entries[i]!.dependsOn === undefined)
      ? '; a task without depends_on waits for the one before'
      : '';
    const { field, dependsOn } = this.#entries[first]!;
    this.#file.fault(
      dependsOn ?? { ...field, name: `tasks[${first}].depends_on` },
      `is a cycle: ${words}${implied}`,
    );
  }

  #call(position: number): string {
    const { name } = this.#entries[position]!;
    return name === null ? `tasks[${position}]` : quote(name);
  }
}

/** Follows `next` from a task that never becomes ready until it comes back to one it has seen. */
function findCycle(start: number, next: (position: number) => number): number[] {
  const seen: number[] = [];
  let position = start;
  while (!seen.includes(position)) {
    seen.push(position);
    position = next(position);
  }
  return seen.slice(seen.indexOf(position));
}
