import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { text } from 'node:stream/consumers';
import type { SecretView } from '../contracts/service.ts';
import { apiCommand, group, JSON_FLAG } from './command.ts';
import { Failure } from './failure.ts';
import { type Flags, pairs, type Values } from './flags.ts';
import { readPassword } from './read-password.ts';
import { inOneLine, type Screen } from './screen.ts';
import { age, jsonText } from './services/describe.ts';
import { type Column, fieldList, table } from './table.ts';
import { UsageError } from './verb.ts';

const COLUMNS: readonly Column<SecretView>[] = [
  { title: 'NAME', text: ({ name }) => name },
  { title: 'KEYS', text: ({ keys }) => keys.join(', '), cut: true },
  { title: 'UPDATED', text: ({ updatedAt }) => `${age(updatedAt)} ago` },
  { title: 'BY', text: ({ updatedBy }) => updatedBy, cut: true },
];

const list = apiCommand({
  name: 'secrets list',
  summary: 'names and keys of the secrets',
  operands: [],
  about: 'Lists the secrets with their keys. Values never come out.',
  flags: JSON_FLAG,
  examples: ['realmgate secrets list', "realmgate secrets list --json | jq -r '.items[].name'"],
  async run({ values, screen, connect }) {
    const answer = await (await connect()).secrets();
    if (values.json === true) screen.out(jsonText(answer));
    else if (answer.items.length === 0) screen.out('There are no secrets.\n');
    else screen.out(table(COLUMNS, answer.items, screen.width));
    return 0;
  },
});

const show = apiCommand({
  name: 'secrets show',
  summary: 'keys of one secret',
  operands: ['NAME'],
  about: 'Shows the keys of a secret, and who wrote it when. Values never come out.',
  flags: JSON_FLAG,
  examples: ['realmgate secrets show openai'],
  async run({ values, operands: [name = ''], screen, connect }) {
    const secret = await (await connect()).secret(name);
    screen.out(
      values.json === true
        ? jsonText(secret)
        : fieldList([
            ['Name', inOneLine(secret.name)],
            ['Keys', inOneLine(secret.keys.join(', '))],
            ['Updated', inOneLine(`${secret.updatedAt} by ${secret.updatedBy}`)],
          ]),
    );
    return 0;
  },
});

const SET_FLAGS = {
  'from-file': {
    value: 'KEY=FILE',
    multiple: true,
    help: 'value is the text of a file, every byte; repeatable',
  },
  'from-stdin': {
    value: 'KEY',
    help: 'value is standard input without its last line end; a terminal asks for it',
  },
  'from-literal': {
    value: 'KEY=VALUE',
    multiple: true,
    help: 'the value itself; everybody on this machine can see it in the process list; repeatable',
  },
  ...JSON_FLAG,
} as const satisfies Flags;

const set = apiCommand({
  name: 'secrets set',
  summary: 'write a secret',
  operands: ['NAME'],
  about: `Writes a secret as a whole: keys that are not given now are gone from it. Services that use it get the new values
when they start the next time. --from-file FILE without a key names it after the file.`,
  flags: SET_FLAGS,
  examples: [
    'realmgate secrets set openai --from-stdin openai-key',
    'realmgate secrets set deploy-key --from-file ssh-key=id_ed25519 --from-file known-hosts=hosts',
    'pass show openai | realmgate secrets set openai --from-stdin openai-key',
  ],
  async run({ values, operands: [name = ''], screen, connect }) {
    const data = await valuesOf(values, screen);
    const secret = await (await connect()).putSecret(name, data);
    screen.out(
      values.json === true
        ? jsonText(secret)
        : `${secret.name} is set: ${inOneLine(secret.keys.join(', '))}\n`,
    );
    return 0;
  },
});

const remove = apiCommand({
  name: 'secrets delete',
  summary: 'delete a secret that no current service uses',
  operands: ['NAME'],
  about: 'Deletes a secret. One that a current service uses is kept, and the exit code is 1.',
  flags: {},
  examples: ['realmgate secrets delete openai'],
  async run({ operands: [name = ''], screen, connect }) {
    await (await connect()).deleteSecret(name);
    screen.out(`${name} is deleted\n`);
    return 0;
  },
});

export const secrets = group('secrets', 'write secrets, and list their keys', {
  list,
  show,
  set,
  delete: remove,
});

/** No message has a value in it. */
async function valuesOf(values: Values<typeof SET_FLAGS>, screen: Screen): Promise<Record<string, string>> {
  const literals = pairs('from-literal', values['from-literal'] ?? []);
  const files = pairs('from-file', (values['from-file'] ?? []).map(withKey));
  const stdin = values['from-stdin'];
  const keys = [...Object.keys(literals), ...Object.keys(files), ...(stdin === undefined ? [] : [stdin])];
  if (keys.length === 0) throw new UsageError('--from-file, --from-stdin or --from-literal is missing');
  if (keys.includes('')) throw new UsageError('--from-stdin takes the name of a key');
  const twice = keys.find((key, i) => keys.indexOf(key) !== i);
  if (twice !== undefined) throw new UsageError(`the key ${twice} is given twice`);
  const found = new Map(Object.entries(literals));
  for (const [key, file] of Object.entries(files)) found.set(key, await fileText(file));
  if (stdin !== undefined) found.set(stdin, await inputText(stdin, screen));
  return Object.fromEntries(found);
}

function withKey(text: string): string {
  return text.includes('=') || text === '' ? text : `${basename(text)}=${text}`;
}

async function fileText(file: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new Failure(`the file ${file} cannot be read (${code})`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Failure(
      `the file ${file} is not UTF-8 text, which a secret has to be; encode it, as base64 does`,
    );
  }
}

async function inputText(key: string, screen: Screen): Promise<string> {
  const given = process.stdin.isTTY
    ? await readPassword(
        process.stdin,
        () => screen.err(`Value of ${key}: `),
        () => screen.err('\n'),
      )
    : (await text(process.stdin)).replace(/\r?\n$/, '');
  if (given === null || given === '') throw new Failure(`no value came for ${key}`);
  return given;
}
