import { readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Deployment } from '../../../contracts/driver.ts';
import { interpreterCommands } from '../../pipeline/pipeline.ts';
import { planScript } from '../../pipeline/plan-script.ts';
import { checkPorts, readPipeline } from '../../pipeline/read-pipeline.ts';

/** Bytes of a pipeline's file that are looked at at all. */
export const LARGEST_PIPELINE = 1024 * 1024;

/** Seconds between TERM and KILL for the tasks of a pipeline: before those of the whole run are over. */
const TASK_GRACE = 8;

/** A pipeline cannot be run; says why. */
class PipelineFault extends Error {}

/**
 * Writes the pipeline's plan into `folder`, outside of the clone. Resolves to its path. What its runs may use again stays
 * in `kept`.
 */
export async function writePlan(
  { folder, clone, kept }: { readonly folder: string; readonly clone: string; readonly kept: string },
  { spec, environment }: Deployment,
): Promise<string> {
  const { pipeline, problems } = readPipeline(await textIn(clone, spec.path));
  const faults = pipeline === null ? problems : checkPorts(pipeline, spec.port);
  if (pipeline === null || faults.length > 0) {
    throw new PipelineFault(
      `${spec.path}: ${faults.map(({ field, message }) => `${field} ${message}`).join('; ')}`,
    );
  }
  const script = planScript(pipeline, {
    interpreters: interpreterCommands(environment.interpreters),
    stateDirectory: kept,
    parameters: Object.keys(spec.parameters),
    killAfter: TASK_GRACE,
    stoppedByOthers: true, // by guard.sh, which signals everything of the run
  });
  const path = join(folder, 'plan.sh');
  await writeFile(path, script, { mode: 0o600 });
  return path;
}

/** The text of a file in the clone. A link may lead to another file of it, and to nothing else. */
async function textIn(clone: string, path: string): Promise<string> {
  const file = await realpath(join(clone, path)).catch(() => null);
  if (file === null) throw new PipelineFault(`${path} is not in the repository`);
  if (!file.startsWith((await realpath(clone)) + sep)) {
    throw new PipelineFault(`${path} leads out of the repository`);
  }
  const { size } = await stat(file);
  if (size > LARGEST_PIPELINE) throw new PipelineFault(`${path} is too large for a pipeline`);
  return readFile(file, 'utf8');
}
