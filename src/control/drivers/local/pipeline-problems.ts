import type { Problem } from '../../../contracts/service.ts';
import type { Pipeline } from '../../pipeline/pipeline.ts';

/** Bytes of a pipeline's file that are looked at at all. */
export const LARGEST_PIPELINE = 1024 * 1024;

/** A task that names a port names the service's. */
export function portProblems({ tasks }: Pipeline, port: number): Problem[] {
  return tasks.flatMap((task, i) =>
    task.port === null || task.port.number === port
      ? []
      : [
          {
            field: `tasks[${i}].port`,
            message: `is ${task.port.number} in ${task.port.place}, but the service's port is ${port}: make them the same`,
          },
        ],
  );
}
