import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { quote } from '../../text/quote.ts';

const run = promisify(execFile);

interface FailedRun {
  readonly code?: string | number | null;
  readonly killed?: boolean;
}

/** Prints `papermill`, `nbconvert` or `none`, without loading either. */
export const FIND_NOTEBOOK_RUNNER = [
  'from importlib.util import find_spec',
  'print(next((name for name in ("papermill", "nbconvert") if find_spec(name)), "none"))',
].join('\n');

/** Milliseconds. A cold disk or a loaded machine takes seconds. */
const PATIENCE = 20_000;

/** What would run notebooks, or why nothing can. */
export type NotebookRunner =
  { readonly runner: 'papermill' | 'nbconvert' } | { readonly runner: null; readonly reason: string };

/**
 * Asks a Python what it runs notebooks with. Never throws.
 * @param python - Command or absolute path.
 * @param variables - The whole environment that a service would have there; PATH finds the command.
 */
export async function findNotebookRunner(
  python: string,
  variables: Readonly<Record<string, string>>,
): Promise<NotebookRunner> {
  try {
    const asked = run(python, ['-c', FIND_NOTEBOOK_RUNNER], {
      env: variables,
      // Python looks for modules in the current directory first; there are none at the root.
      cwd: '/',
      timeout: PATIENCE,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024,
    });
    asked.child.stdin?.end();
    const runner = (await asked).stdout.trim();
    if (runner === 'papermill' || runner === 'nbconvert') return { runner };
    return {
      runner: null,
      reason: `${quote(python)} has neither papermill nor nbconvert: install one of them, with ipykernel`,
    };
  } catch (error) {
    return { runner: null, reason: reasonOf(python, error as FailedRun) };
  }
}

function reasonOf(python: string, { code, killed }: FailedRun): string {
  if (code === 'ENOENT') return `there is no ${quote(python)}`;
  if (killed === true && code !== 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
    return `${quote(python)} did not answer within ${PATIENCE / 1000} seconds`;
  }
  return `${quote(python)} cannot be run`;
}
