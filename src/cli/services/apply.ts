import type { ServiceView } from '../../contracts/service.ts';
import type { Api } from '../api.ts';
import { ApiFailure, fieldLine } from '../api-failure.ts';
import { apiCommand, JSON_FLAG } from '../command.ts';
import { Failure } from '../failure.ts';
import type { Flags } from '../flags.ts';
import { isObject, parseDocuments, readText } from '../read-document.ts';
import type { Screen } from '../screen.ts';
import { UsageError } from '../verb.ts';
import { jsonText } from './describe.ts';
import { type Difference, differenceLine, differences, patchOf } from './difference.ts';
import { awaitStart, duringRollout, patienceOf, WAIT_FLAGS } from './wait.ts';

const FLAGS = {
  file: { short: 'f', value: 'FILE', help: 'services as YAML or JSON; - is standard input' },
  'dry-run': {
    help: 'tell what would change, field by field, and change nothing; exits 1 when something would',
  },
  ...WAIT_FLAGS,
  ...JSON_FLAG,
} as const satisfies Flags;

export const apply = apiCommand({
  name: 'services apply',
  summary: 'create what is missing, update what differs',
  operands: [],
  about: `Brings services into the state that a file describes: one that is missing is created, one that differs is updated,
and one that does not is left alone, so that applying twice does nothing the second time. Fields that the file does not
name stay as they are, and so do services that it does not name; the parameters in it are all that there shall be.

With --dry-run nothing changes, and the exit code is 0 when nothing would, 1 when something would.`,
  flags: FLAGS,
  examples: [
    'realmgate services apply -f services.yaml --dry-run',
    'realmgate services apply -f services.yaml',
    'realmgate services export | sed s/release-1/release-2/ | realmgate services apply -f -',
  ],
  async run({ values, screen, connect }) {
    const { file } = values;
    if (file === undefined) throw new UsageError('-f FILE is missing');
    const patience = patienceOf(values);
    const wanted = await readServices(file);
    const api = await connect();
    const current = new Map(
      (await api.services()).items
        .filter(({ status }) => status !== 'cancelled')
        .map((service) => [service.name, service]),
    );
    const plan = wanted.map((service) => planFor(service, current.get(service.name)));
    const dry = values['dry-run'] === true;
    const tell = (text: string): void => (values.json === true ? undefined : screen.out(text));
    const done = dry
      ? plan.map((step) => told(step, tell))
      : await new Application(api, screen, patience, tell).all(plan);
    if (values.json === true) screen.out(jsonText({ items: done }));
    return done.every(({ result }) => (dry ? result === 'unchanged' : result !== 'failed')) ? 0 : 1;
  },
});

interface Wanted extends Readonly<Record<string, unknown>> {
  readonly name: string;
}

/** What one service needs. */
interface Step {
  readonly wanted: Wanted;
  /** undefined = it is missing. */
  readonly current: ServiceView | undefined;
  readonly changes: readonly Difference[];
}

interface Done {
  readonly name: string;
  readonly result: 'created' | 'updated' | 'unchanged' | 'failed';
  readonly differences: readonly Difference[];
}

function planFor(wanted: Wanted, current: ServiceView | undefined): Step {
  const changes =
    current === undefined
      ? Object.entries(wanted).map(([field, after]) => ({ field, before: undefined, after }))
      : differences(wanted, current);
  return { wanted, current, changes };
}

/** Says of a dry run what it would do. */
function told({ wanted: { name }, current, changes }: Step, tell: (text: string) => void): Done {
  const result = current === undefined ? 'created' : changes.length > 0 ? 'updated' : 'unchanged';
  tell(`${name}: ${result === 'unchanged' ? result : `would be ${result}`}\n`);
  for (const change of changes) tell(`${differenceLine(change)}\n`);
  return { name, result, differences: changes };
}

/** Carries a plan out. What fails is told, and the rest goes on. */
class Application {
  readonly #api: Api;
  readonly #screen: Screen;
  readonly #patience: number;
  readonly #tell: (text: string) => void;

  constructor(api: Api, screen: Screen, patience: number, tell: (text: string) => void) {
    this.#api = api;
    this.#screen = screen;
    this.#patience = patience;
    this.#tell = tell;
  }

  /** New ones start beside each other; they are waited for at the end. */
  async all(plan: readonly Step[]): Promise<readonly Done[]> {
    const done: Done[] = [];
    const starting: { index: number; service: ServiceView }[] = [];
    for (const [index, step] of plan.entries()) {
      const { name } = step.wanted;
      const result = await this.#attempt(name, async () => {
        if (step.current !== undefined) return this.#change(step.current, step.changes);
        const service = await this.#api.createService(step.wanted);
        if (service.minReplicas > 0 && this.#patience > 0) starting.push({ index, service });
        return 'created';
      });
      done.push({ name, result, differences: step.changes });
    }
    for (const { index, service } of starting) {
      const result = await this.#attempt(service.name, async () => {
        await awaitStart(this.#api, service, this.#screen, this.#patience);
        return null;
      });
      if (result === 'failed') done[index] = { ...done[index]!, result };
    }
    return done;
  }

  async #change(current: ServiceView, changes: readonly Difference[]): Promise<Done['result']> {
    if (changes.length === 0) return 'unchanged';
    await duringRollout(this.#api, current, this.#screen, 'update', (signal) =>
      this.#api.updateService(current.id, patchOf(changes), signal),
    );
    return 'updated';
  }

  async #attempt<T extends Done['result'] | null>(
    name: string,
    work: () => Promise<T>,
  ): Promise<T | 'failed'> {
    try {
      const result = await work();
      if (result !== null) this.#tell(`${name}: ${result}\n`);
      return result;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const [first = '', ...rest] = error.lines;
      const inFile = error instanceof ApiFailure && error.fields.length > 0;
      const more = inFile ? error.fields.map(fieldLine) : rest;
      this.#screen.err([`realmgate services apply: ${name}: ${first}`, ...more, ''].join('\n'));
      return 'failed';
    }
  }
}

/** Several documents, a list, or an object with `services`: whatever people write. Each name stands in it once. */
async function readServices(file: string): Promise<readonly Wanted[]> {
  const documents = await parseDocuments(await readText(file), file);
  const services = documents.flatMap((document) =>
    Array.isArray(document)
      ? (document as unknown[])
      : isObject(document) && Array.isArray(document['services'])
        ? (document['services'] as unknown[])
        : document === null
          ? []
          : [document],
  );
  if (services.length === 0) throw new UsageError(`there is no service in ${file}`);
  const names = new Set<string>();
  return services.map((service, i) => {
    if (!isObject(service) || typeof service['name'] !== 'string' || service['name'] === '') {
      throw new UsageError(`service ${i + 1} of ${file} needs a name: it says which one is meant`);
    }
    const { name } = service;
    if (names.has(name)) throw new UsageError(`${file} has two services named ${name}`);
    names.add(name);
    return { ...service, name };
  });
}
