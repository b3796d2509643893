import { SERVICE_VARIABLE } from './leftovers.ts';
import {
  describeProcess,
  holderOf,
  identify,
  type Listener,
  listenerOn,
  type ProcessIdentity,
  treeOf,
  variableOf,
} from './proc.ts';

/** A run, by what its processes can be told from all others. */
export interface Owner {
  /** Process id of its guard. */
  readonly guard: number;
  /** What it is marked with. */
  readonly marker: string;
}

/** `process 123 (nginx)` that listens on this TCP port; null = not to be found out. */
export async function listenerName(port: number): Promise<string | null> {
  const listener = await listenerOn(port);
  const holder = listener === null ? null : await holderOf(listener);
  return holder === null ? null : describeProcess(holder.pid);
}

/**
 * Who listens on the port that a run was given, where that is not the run: between the look at a free port and the
 * program that listens there, anybody can take it, and would get the service's requests. null = the run itself, what was
 * started for it, such as the proxy of a container, or not to be found out.
 */
export async function strangerOn(port: number, owner: Owner): Promise<string | null> {
  const listener = await listenerOn(port);
  if (listener === null) return null;
  if ((await holderOf(listener, await treeOf(owner.guard))) !== null) return null;
  const holder = await holderOf(listener);
  if (holder === null) return isForeign(listener) ? `a program of user ${listener.uid}` : null;
  return (await isStrange(holder, owner)) ? describeProcess(holder.pid) : null;
}

/** Root may have done it for us. */
function isForeign({ uid }: Listener): boolean {
  return uid !== 0 && uid !== process.getuid?.();
}

/** What has another mark, or was there before, was not started for the run. */
async function isStrange(holder: ProcessIdentity, { guard, marker }: Owner): Promise<boolean> {
  const mark = await variableOf(holder.pid, SERVICE_VARIABLE);
  if (mark !== null) return mark !== marker;
  const own = await identify(guard);
  return own !== null && Number(holder.startTime) < Number(own.startTime);
}
