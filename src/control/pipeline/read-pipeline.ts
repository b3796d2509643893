import { posix } from 'node:path';
import type { Problem } from '../../contracts/service.ts';
import { quote } from '../../text/quote.ts';
import { suggest } from '../../text/suggest.ts';
import { TaskOrder } from './task-order.ts';
import { PATH_KEYS, type Pipeline, type Program, type Task, type TaskPort } from './pipeline.ts';
import { WHOLE_FILE, YamlFile, type Field } from './yaml-file.ts';

type Fields = ReadonlyMap<string, Field>;

/** Characters. Reading a hostile file of this length takes up to a third of a second, and the process waits. */
const LARGEST = 64 * 1024;
const MOST_TASKS = 100;
/** That are told. */
const MOST_FAULTS = 100;

const OUTPUT_KEY = 'notebook_output_path';
const PIPELINE_KEYS = ['name', 'working_dir', 'requirements', 'tasks'];
const TASK_KEYS = [
  'name',
  'type',
  'port',
  'working_dir',
  'depends_on',
  ...Object.values(PATH_KEYS),
  OUTPUT_KEY,
];

const KINDS: Readonly<Record<string, Program['kind']>> = {
  'bash script': 'bash',
  'python script': 'python',
  python: 'python',
  py: 'python',
  'vs code notebook': 'python',
  'vscode notebook': 'python',
  'js script': 'node',
  javascript: 'node',
  js: 'node',
  'jupyter notebook': 'notebook',
  jupyter: 'notebook',
  notebook: 'notebook',
  ipynb: 'notebook',
};

/**
 * Reads a multi-step pipeline as Shakudo's docs write it. `pipeline` is null when anything is wrong with it; then
 * `problems` has every fault, each with its place: `tasks[2].type`, or `pipeline` for the file as a whole.
 */
export function readPipeline(text: string): {
  readonly pipeline: Pipeline | null;
  readonly problems: readonly Problem[];
} {
  if (text.length > LARGEST) {
    return {
      pipeline: null,
      problems: [{ field: WHOLE_FILE, message: `is larger than ${LARGEST / 1024} KiB` }],
    };
  }
  const reader = new PipelineReader(text);
  const pipeline = reader.read();
  return { pipeline: reader.problems.length === 0 ? pipeline : null, problems: bounded(reader.problems) };
}

function bounded(problems: readonly Problem[]): readonly Problem[] {
  const more = problems.length - MOST_FAULTS;
  if (more <= 0) return problems;
  return [...problems.slice(0, MOST_FAULTS), { field: WHOLE_FILE, message: `has ${more} more faults` }];
}

/** Tasks whose port is not the service's: nothing would ever reach them. */
export function checkPorts(pipeline: Pipeline, servicePort: number): Problem[] {
  return pipeline.tasks.flatMap(({ port }, i) =>
    port === null || port.number === servicePort
      ? []
      : [
          {
            field: `tasks[${i}].port`,
            message: `is ${port.number}, but the port of the service is ${servicePort}: make them the same (${port.place})`,
          },
        ],
  );
}

class PipelineReader {
  readonly #file: YamlFile;

  constructor(text: string) {
    this.#file = new YamlFile(text);
  }

  get problems(): readonly Problem[] {
    return this.#file.problems;
  }

  read(): Pipeline | null {
    const root = this.#file.root();
    if (root === null) return null;
    const fields = this.#pipelineFields(root);
    if (fields === null) return null;
    const name = this.#text(fields, 'name', root, 'a name for the pipeline');
    const workingDirectory = this.#path(fields.get('working_dir'), 'directory');
    const requirements = this.#path(fields.get('requirements'), 'file');
    const tasks = this.#tasks(fields.get('tasks'), root);
    return name === null || tasks === null ? null : { name, workingDirectory, requirements, tasks };
  }

  /** Under `pipeline:`, or beside it as in the sample of Shakudo's docs. */
  #pipelineFields(root: Field): Fields | null {
    const beside = this.#file.map(root, '', ['pipeline', ...PIPELINE_KEYS]);
    if (beside === null) return null;
    const head = beside.get('pipeline');
    if (head === undefined) {
      this.#file.fault(root, 'has no key pipeline; a pipeline file begins with it');
      return null;
    }
    const fields = new Map(beside);
    fields.delete('pipeline');
    if (isEmpty(head)) return fields;
    const under = this.#file.map(head, '', PIPELINE_KEYS);
    for (const [key, field] of under ?? []) {
      const other = fields.get(key);
      if (other === undefined) fields.set(key, field);
      else this.#file.fault(field, `stands under pipeline and beside it, in ${this.#file.place(other)}`);
    }
    return under === null ? null : fields;
  }

  #tasks(list: Field | undefined, root: Field): Task[] | null {
    if (list === undefined) {
      this.#file.fault({ ...root, name: 'tasks' }, 'is missing: a pipeline has a list of tasks');
      return null;
    }
    const items = this.#file.list(list, 'a list of tasks');
    if (items === null) return null;
    if (items.length === 0) this.#file.fault(list, 'has to have at least one task');
    if (items.length > MOST_TASKS) {
      this.#file.fault(list, `has ${items.length} tasks; at most ${MOST_TASKS} are possible`);
      return null;
    }
    const order = new TaskOrder(this.#file);
    const tasks = items.map((item) => this.#task(item, order));
    const after = order.resolve();
    return tasks.flatMap((task, i) => (task === null ? [] : [{ ...task, after: after[i] ?? [] }]));
  }

  #task(item: Field, order: TaskOrder): Omit<Task, 'after'> | null {
    const prefix = `${item.name}.`;
    const fields = this.#file.map(item, prefix, TASK_KEYS);
    if (fields === null) {
      order.add(item, null, undefined);
      return null;
    }
    const name = this.#text(fields, 'name', item, 'a name for the task');
    order.add(fields.get('name') ?? item, name, fields.get('depends_on'));
    const program = this.#program(item, fields);
    const workingDirectory = this.#path(fields.get('working_dir'), 'directory');
    const port = this.#port(fields.get('port'));
    return name === null || program === null ? null : { name, program, workingDirectory, port };
  }

  #program(item: Field, fields: Fields): Program | null {
    const type = this.#text(fields, 'type', item, `one of ${Object.keys(KINDS).join(', ')}`);
    if (type === null) return null;
    const word = type.toLowerCase().replace(/\s+/g, ' ');
    const kind = Object.hasOwn(KINDS, word) ? KINDS[word] : undefined;
    if (kind === undefined) {
      const meant = suggest(word, Object.keys(KINDS));
      const advice =
        meant === null ? `the types are ${Object.keys(KINDS).join(', ')}` : `did you mean ${meant}?`;
      this.#file.fault(fields.get('type')!, `${quote(type)} is no type of task: ${advice}`);
      return null;
    }
    const keys: string[] = kind === 'notebook' ? [PATH_KEYS.notebook, OUTPUT_KEY] : [PATH_KEYS[kind]];
    for (const key of [...Object.values(PATH_KEYS), OUTPUT_KEY]) {
      const field = fields.get(key);
      if (field !== undefined && !keys.includes(key)) {
        this.#file.fault(field, `does not belong to a task of type ${word}, which has ${keys.join(' and ')}`);
      }
    }
    const path = this.#needed(fields, PATH_KEYS[kind], item, word);
    if (kind !== 'notebook') return path === null ? null : { kind, path };
    const output = this.#needed(fields, OUTPUT_KEY, item, word);
    return path === null || output === null ? null : { kind, path, output };
  }

  #needed(fields: Fields, key: string, item: Field, type: string): string | null {
    const field = fields.get(key);
    if (field !== undefined) return this.#path(field, 'file');
    this.#file.fault({ ...item, name: `${item.name}.${key}` }, `is missing: a task of type ${type} has it`);
    return null;
  }

  #text(fields: Fields, key: string, owner: Field, expected: string): string | null {
    const field = fields.get(key);
    if (field !== undefined) return this.#file.text(field, expected);
    const name = owner.name === WHOLE_FILE ? key : `${owner.name}.${key}`;
    this.#file.fault({ ...owner, name }, `is missing: it has to be ${expected}`);
    return null;
  }

  /** Relative to the root of the clone, in its shortest form. */
  #path(field: Field | undefined, what: 'file' | 'directory'): string | null {
    if (field === undefined) return null;
    const expected = `a ${what} of the repository, relative to its root`;
    const text = this.#file.text(field, expected);
    if (text === null) return null;
    const path = posix.normalize(text);
    if (posix.isAbsolute(path)) {
      this.#file.fault(field, `${quote(text)} is an absolute path; it has to be ${expected}`);
    } else if (path === '..' || path.startsWith('../')) {
      this.#file.fault(field, `${quote(text)} leaves the repository; it has to be ${expected}`);
    } else if (what === 'directory') {
      return path.replace(/\/$/, '');
    } else if (path === '.' || path.endsWith('/')) {
      this.#file.fault(field, `${quote(text)} is a directory; it has to be ${expected}`);
    } else return path;
    return null;
  }

  #port(field: Field | undefined): TaskPort | null {
    if (field === undefined) return null;
    const text = this.#file.text(field, 'a port number');
    if (text === null) return null;
    const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (number >= 1 && number <= 65_535) return { number, place: this.#file.place(field) };
    this.#file.fault(field, `${quote(text)} is no port; it has to be a number from 1 to 65535`);
    return null;
  }
}

function isEmpty({ node, unreadable }: Field): boolean {
  return !unreadable && (node === null || ('value' in node && node.value === null));
}
