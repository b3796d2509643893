import './lean-http.ts';
import { UsageError, type Io, type Verb } from './cli/verb.ts';

/** Verbs by name. What a verb needs is loaded with it, so that `token` does not wait for the gateway's code. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  serve: async () => (await import('./cli/serve.ts')).serve,
  'check-config': async () => (await import('./cli/check-config.ts')).checkConfig,
  token: async () => (await import('./cli/token.ts')).token,
  demo: async () => (await import('./cli/demo.ts')).demo,
  services: async () => (await import('./cli/services.ts')).services,
  secrets: async () => (await import('./cli/secrets.ts')).secrets,
  environments: async () => (await import('./cli/environments.ts')).environments,
  explain: async () => (await import('./cli/explain.ts')).explain,
  doctor: async () => (await import('./cli/doctor.ts')).doctor,
  'attack-test': async () => (await import('./cli/attack-test.ts')).attackTest,
  completion: async () => (await import('./cli/completion.ts')).completionOf(VERBS),
};

const io: Io = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined) {
    io.err(await overview());
    return 64;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    io.out(await overview());
    return 0;
  }
  const load = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (load === undefined) {
    io.err(`realmgate: there is no verb "${name}"; the verbs are ${Object.keys(VERBS).join(', ')}\n`);
    return 64;
  }
  const verb = await load();
  if (asksForHelp(args)) {
    const { commands = {} } = verb;
    const [command = ''] = args;
    io.out((Object.hasOwn(commands, command) ? commands[command]! : verb).help);
    return 0;
  }
  try {
    return await verb.run(args, io);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.err(`realmgate: ${error.message}\nSee: realmgate ${error.topic ?? name} --help\n`);
    return 64;
  }
}

/** After `--` stand arguments that may look like options. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args
    .slice(0, end === -1 ? undefined : end)
    .some((argument) => argument === '--help' || argument === '-h');
}

async function overview(): Promise<string> {
  const lines = ['realmgate VERB ...', '', 'Verbs:'];
  for (const [name, load] of Object.entries(VERBS))
    lines.push(`  ${name.padEnd(14)}${(await load()).summary}`);
  return [...lines, '', 'realmgate VERB --help tells more.', ''].join('\n');
}

// Whoever read the output has seen enough, as `head` has: nobody is left to tell the rest. What serves goes on.
process.stdout.on('error', ({ code = 'unknown error' }: NodeJS.ErrnoException) => {
  if (process.argv[2] === 'serve') return;
  if (code === 'EPIPE') process.exit(0);
  io.err(`realmgate: standard output cannot be written (${code})\n`);
  process.exit(1);
});
process.stderr.on('error', () => undefined);

// Started by an older Node: when that one is gone, nobody could end this one as the user expects.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();

const code = await main(process.argv.slice(2));
await taken(process.stdout);
await taken(process.stderr);
process.exit(code);

/** A pipe takes at once what it has room for; the rest would be lost with the process. */
async function taken(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write('', () => resolve()));
}
