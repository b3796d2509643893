import type { ReadStream } from 'node:tty';

const ENTER = ['\r', '\n', '\u0004'];
const ERASE = ['\u007f', '\b'];
const INTERRUPT = '\u0003';

/**
 * Reads one password from `input`: without echo after `prompt` on a terminal, else the first line. Resolves to null
 * when there was none: the input ended, or the user pressed Ctrl-C.
 */
export async function readPassword(
  input: NodeJS.ReadStream,
  prompt: () => void,
  done: () => void,
): Promise<string | null> {
  if (!input.isTTY) return readLine(input);
  prompt();
  input.setRawMode(true);
  try {
    return await readKeys(input);
  } finally {
    input.setRawMode(false);
    input.pause();
    done();
  }
}

async function readLine(input: NodeJS.ReadStream): Promise<string | null> {
  let text = '';
  input.setEncoding('utf8');
  for await (const chunk of input as AsyncIterable<string>) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  const [line = ''] = text.split(/\r?\n/, 1);
  return line === '' ? null : line;
}

function readKeys(input: ReadStream): Promise<string | null> {
  input.setEncoding('utf8');
  return new Promise((resolve) => {
    const characters: string[] = [];
    const finish = (password: string | null) => {
      input.off('data', onData);
      input.off('end', onEnd);
      resolve(password);
    };
    const onEnd = () => finish(null);
    const onData = (chunk: string) => {
      for (const character of chunk) {
        if (character === INTERRUPT || ENTER.includes(character)) {
          finish(character === INTERRUPT ? null : characters.join('') || null);
          return;
        }
        if (ERASE.includes(character)) characters.pop();
        else characters.push(character);
      }
    };
    input.on('data', onData);
    input.on('end', onEnd);
    input.resume();
  });
}
