import type { SourceCheck } from '../../../contracts/driver.ts';
import type { Problem } from '../../../contracts/service.ts';
import { type GitCache } from '../../git/git-cache.ts';
import { GitError } from '../../git/git-error.ts';
import { findNotebookRunner } from '../../pipeline/notebook-runner.ts';
import { type Interpreter, interpreterCommands } from '../../pipeline/pipeline.ts';
import { type NeededPath, pipelineNeeds } from '../../pipeline/pipeline-needs.ts';
import { checkPorts, readPipeline } from '../../pipeline/read-pipeline.ts';
import { serviceVariables } from '../../services/variables.ts';
import { LARGEST_PIPELINE } from './pipeline-plan.ts';
import { findProgram } from './programs.ts';

/** ms for the whole check; a large repository that was never fetched takes longer than a person waits. */
const PATIENCE = 60_000;

export interface CheckContext {
  readonly git: GitCache;
  readonly environment: Readonly<Record<string, string>>;
}

/** As `Driver.check`. */
export async function checkSource(
  context: CheckContext,
  source: SourceCheck,
  stop: AbortSignal,
): Promise<Problem[]> {
  const late = AbortSignal.timeout(PATIENCE);
  try {
    return await new SourceChecker(context, source, AbortSignal.any([late, stop])).problems();
  } catch (error) {
    if (error instanceof GitError) return [{ field: error.field, message: error.message }];
    if (!late.aborted) throw error;
    return [
      { field: 'git.repository', message: `The repository could not be looked at in ${PATIENCE / 1000} s` },
    ];
  }
}

class SourceChecker {
  readonly #git: GitCache;
  readonly #source: SourceCheck;
  readonly #variables: Readonly<Record<string, string>>;
  readonly #signal: AbortSignal;
  readonly #problems: Problem[] = [];
  #commit = '';

  constructor({ git, environment: base }: CheckContext, source: SourceCheck, signal: AbortSignal) {
    this.#git = git;
    this.#source = source;
    this.#signal = signal;
    this.#variables = serviceVariables({
      base,
      spec: { name: 'check', endpoint: '/', parameters: {} },
      environment: source.environment,
      secrets: {},
      port: source.port ?? 0,
      secretsDirectory: null,
    });
  }

  async problems(): Promise<Problem[]> {
    const { git, credentials, path, type } = this.#source;
    const options = { signal: this.#signal, lastCommit: null };
    this.#commit = (await this.#git.fetch(git, credentials, options)).commit;
    if (type === 'shell') await this.#interpreters(['bash']);
    if (path === null) return this.#problems;
    const text = await this.#file({ field: 'path', path });
    if (text !== null && type === 'pipeline') await this.#pipeline(text);
    return this.#problems;
  }

  async #pipeline(text: string): Promise<void> {
    const { pipeline, problems } = readPipeline(text);
    for (const { field, message } of problems) this.#fault('path', `${field} ${message}`);
    if (pipeline === null) return;
    const { port, environment } = this.#source;
    if (port !== null) {
      for (const { field, message } of checkPorts(pipeline, port)) this.#fault('port', `${field} ${message}`);
    }
    const needs = pipelineNeeds(pipeline);
    for (const file of needs.files) await this.#file({ field: 'path', path: file.path }, file);
    for (const directory of needs.directories) await this.#directory(directory);
    await this.#interpreters(needs.interpreters);
    if (!needs.notebookRunner) return;
    const { python } = interpreterCommands(environment.interpreters);
    const found = await findNotebookRunner(python, this.#variables);
    if (found.runner === null) this.#fault('environment', `No notebook can be run: ${found.reason}`);
  }

  /** Resolves to the text of a file of the commit; null = it is none, which is told, or is not looked into. */
  async #file({ field, path }: NeededPath, named?: NeededPath): Promise<string | null> {
    const entry = await this.#look(path);
    if (entry.kind === 'file') {
      if (entry.text === null && named === undefined && this.#source.type === 'pipeline') {
        this.#fault(field, `${path} is larger than ${LARGEST_PIPELINE / 1024} KiB`);
      }
      return entry.text;
    }
    if (entry.kind !== 'submodule') this.#fault(field, `${place(named)}${path} ${WHY_NO_FILE[entry.kind]}`);
    return null;
  }

  async #directory(named: NeededPath): Promise<void> {
    const { kind } = await this.#look(named.path);
    if (kind === 'missing' || kind === 'outside') {
      this.#fault('path', `${place(named)}${named.path} ${WHY_NO_FILE[kind]}`);
    } else if (kind === 'file') {
      this.#fault('path', `${place(named)}${named.path} is a file, not a directory`);
    }
  }

  #look(path: string): ReturnType<GitCache['look']> {
    const { git, credentials } = this.#source;
    const options = { signal: this.#signal, textLimit: LARGEST_PIPELINE };
    return this.#git.look(git, credentials, this.#commit, path, options);
  }

  async #interpreters(needed: readonly Interpreter[]): Promise<void> {
    const commands = interpreterCommands(this.#source.environment.interpreters);
    for (const interpreter of needed) {
      const command = commands[interpreter];
      if ((await findProgram(command, this.#variables['PATH'] ?? '')) !== null) continue;
      const { name } = this.#source.environment;
      this.#fault('environment', `${command}, the ${interpreter} of "${name}", is not on this machine`);
    }
  }

  #fault(field: string, message: string): void {
    this.#problems.push({ field, message });
  }
}

const WHY_NO_FILE = {
  directory: 'is a directory, not a file',
  missing: 'is not in the repository at this commit',
  outside: 'is a link that leads out of the repository',
} as const;

function place(named: NeededPath | undefined): string {
  return named === undefined ? '' : `${named.field}: `;
}
