import { UsageError, type Io, type Verb } from './cli/verb.ts';

/** Verbs by name. What a verb needs is loaded with it, so that `token` does not wait for the gateway's code. */
const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  serve: async () => (await import('./cli/serve.ts')).serve,
  'check-config': async () => (await import('./cli/check-config.ts')).checkConfig,
  token: async () => (await import('./cli/token.ts')).token,
  demo: async () => (await import('./cli/demo.ts')).demo,
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
  if (args.includes('--help') || args.includes('-h')) {
    io.out(verb.help);
    return 0;
  }
  try {
    return await verb.run(args, io);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.err(`realmgate: ${error.message}\nSee: realmgate ${name} --help\n`);
    return 64;
  }
}

async function overview(): Promise<string> {
  const lines = ['realmgate VERB ...', '', 'Verbs:'];
  for (const [name, load] of Object.entries(VERBS))
    lines.push(`  ${name.padEnd(14)}${(await load()).summary}`);
  return [...lines, '', 'realmgate VERB --help tells more.', ''].join('\n');
}

// Started by an older Node: when that one is gone, nobody could end this one as the user expects.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();

process.exit(await main(process.argv.slice(2)));
