import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

type Controller = 'memory' | 'cpu' | 'pids';

const CONTROLLERS: readonly Controller[] = ['memory', 'cpu', 'pids'];

/** Processes and threads of one run. A fork bomb ends here, long before the machine has no more to give. */
const MOST_TASKS = 4096;

/** Microseconds in which a run may use its share of the cores. */
const CPU_PERIOD = 100_000;

export interface Limits {
  /** Cores; null = unlimited. */
  readonly cpu: number | null;
  /** Bytes; null = unlimited. */
  readonly memory: number | null;
}

interface Place {
  readonly version: 1 | 2;
  /** Our own group, in which each run gets one. */
  readonly directory: string;
}

/** The control groups of one run. */
export interface RunGroups {
  /** A process enters by writing `0` into `cgroup.procs` of each. */
  readonly directories: readonly string[];
  /** Limits that no control group keeps. */
  readonly unmet: readonly (keyof Limits)[];
  /** Whether the system ended a process of it for want of memory. */
  ranOutOfMemory(): Promise<boolean>;
  remove(): Promise<void>;
}

/** Linux control groups, version 2 where this process may make groups (a delegated subtree), or version 1. */
export class ControlGroups {
  readonly #places: ReadonlyMap<Controller, Place>;

  private constructor(places: ReadonlyMap<Controller, Place>) {
    this.#places = places;
  }

  /** Finds out what the system allows, and removes the groups that an earlier run of this instance left. */
  static async open(instance: string): Promise<ControlGroups> {
    const places = new Map<Controller, Place>();
    const parents = await parentGroups();
    for (const controller of CONTROLLERS) {
      for (const parent of parents.filter(({ controllers }) => controllers.includes(controller))) {
        const directory = join(parent.directory, `realmgate-${instance}`);
        if (!(await usable(parent, directory, controller))) continue;
        places.set(controller, { version: parent.version, directory });
        break;
      }
    }
    for (const { directory } of places.values()) {
      for (const name of await readdir(directory)) await remove(join(directory, name));
    }
    return new ControlGroups(places);
  }

  /** Rejects when the system refuses a limit. */
  async create(run: string, limits: Limits): Promise<RunGroups> {
    const directories = new Set<string>();
    const unmet: (keyof Limits)[] = [];
    const wanted = { ...limits, pids: MOST_TASKS };
    for (const controller of CONTROLLERS) {
      const amount = wanted[controller];
      if (amount === null) continue;
      const place = this.#places.get(controller);
      if (place === undefined) {
        if (controller !== 'pids') unmet.push(controller);
        continue;
      }
      const directory = join(place.directory, run);
      directories.add(directory);
      await mkdir(directory, { recursive: true });
      await LIMIT[controller][place.version](directory, amount);
    }
    const memory = this.#places.get('memory');
    return {
      directories: [...directories],
      unmet,
      async ranOutOfMemory() {
        if (memory === undefined || limits.memory === null) return false;
        const file = memory.version === 2 ? 'memory.events' : 'memory.oom_control';
        const text = await readFile(join(memory.directory, run, file), 'utf8').catch(() => '');
        return /^oom_kill [1-9]/m.test(text);
      },
      async remove() {
        for (const directory of directories) await remove(directory);
      },
    };
  }

  async close(): Promise<void> {
    for (const { directory } of this.#places.values()) await remove(directory);
  }
}

const LIMIT: Readonly<
  Record<Controller, Record<1 | 2, (directory: string, amount: number) => Promise<void>>>
> = {
  memory: {
    1: async (directory, bytes) => {
      await set(directory, 'memory.limit_in_bytes', bytes);
      await set(directory, 'memory.memsw.limit_in_bytes', bytes).catch(() => undefined); // without swap accounting
    },
    2: async (directory, bytes) => {
      await set(directory, 'memory.max', bytes);
      await set(directory, 'memory.swap.max', 0).catch(() => undefined);
    },
  },
  cpu: {
    1: async (directory, cores) => {
      await set(directory, 'cpu.cfs_period_us', CPU_PERIOD);
      await set(directory, 'cpu.cfs_quota_us', Math.max(Math.round(cores * CPU_PERIOD), 1_000));
    },
    2: (directory, cores) =>
      set(directory, 'cpu.max', `${Math.max(Math.round(cores * CPU_PERIOD), 1_000)} ${CPU_PERIOD}`),
  },
  pids: {
    1: (directory, tasks) => set(directory, 'pids.max', tasks),
    2: (directory, tasks) => set(directory, 'pids.max', tasks),
  },
};

interface ParentGroup {
  readonly version: 1 | 2;
  readonly directory: string;
  readonly controllers: readonly string[];
}

/** The groups that this process is in, as paths of the file systems that are mounted here. */
async function parentGroups(): Promise<ParentGroup[]> {
  const [mounts, memberships] = await Promise.all(
    ['/proc/self/mountinfo', '/proc/self/cgroup'].map((path) => readFile(path, 'utf8').catch(() => '')),
  );
  const groups: ParentGroup[] = [];
  for (const line of mounts!.split('\n')) {
    const [, , , root = '', point = '', ...rest] = line.split(' ');
    const [type, , options = ''] = rest.slice(rest.indexOf('-') + 1);
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    const version = type === 'cgroup' ? 1 : 2;
    const named = options.split(',');
    const membership = memberships!
      .split('\n')
      .map((text) => /^[0-9]+:([^:]*):(.*)$/.exec(text))
      .find(
        (found) =>
          found !== null &&
          found[1]!.split(',').some((name) => (version === 2 ? name === '' : named.includes(name))),
      );
    const path = membership?.[2] ?? '/';
    // A container may see only a part of the tree, from `root` on.
    const inside = root === '/' ? path : path.startsWith(root) ? path.slice(root.length) : '/';
    const directory = join(point, inside);
    groups.push({ version, directory, controllers: version === 1 ? named : await controllersOf(directory) });
  }
  return groups;
}

async function controllersOf(directory: string): Promise<string[]> {
  const text = await readFile(join(directory, 'cgroup.controllers'), 'utf8').catch(() => '');
  return text.trim().split(' ');
}

/** Makes our own group, and sees whether groups in it have the controller. */
async function usable(parent: ParentGroup, directory: string, controller: Controller): Promise<boolean> {
  const trial = join(directory, 'trial');
  try {
    await mkdir(directory, { recursive: true });
    if (parent.version === 2) {
      for (const group of [parent.directory, directory]) {
        await set(group, 'cgroup.subtree_control', `+${controller}`);
      }
    }
    await mkdir(trial, { recursive: true });
    await LIMIT[controller][parent.version](trial, 2 ** 20);
    return true;
  } catch {
    return false;
  } finally {
    await remove(trial);
  }
}

async function set(directory: string, file: string, value: number | string): Promise<void> {
  await writeFile(join(directory, file), String(value), { flag: 'r+' });
}

/** A group that has just lost its last process may be busy for a moment. What cannot be removed is at the next start. */
async function remove(directory: string): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      await rmdir(directory);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') return;
      await delay(25);
    }
  }
}
