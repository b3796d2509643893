import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { headerValues, parseResponses, untilResponses } from '../../support/parse-responses.ts';
import { connected, expectQuiet, HOST, startWire } from '../wire.ts';

const get = (path: string): string => `GET /open/${path} HTTP/1.1\r\n${HOST}\r\n`;
const post = (path: string): string => `POST /open/${path} HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\n`;

/** What a client has sent when the gateway begins to drain, what it sends then, and the statuses it gets. */
const PHASES: [name: string, before: string, answered: number, after: string, statuses: number[]][] = [
  ['that sent nothing yet', '', 0, '', []],
  ['that keeps its connection', get('quick'), 1, '', [200]],
  ['in the middle of a head', `GET /open/slow HTTP/1.1\r\nHo`, 0, '', []],
  ['in the middle of a head behind an answer', `${get('quick')}GET /open/sl`, 1, '', [200]],
  ['in the middle of a body', `${post('slow')}he`, 0, 'llo', [200]],
  ['that waits for its answer', get('slow'), 0, '', [200]],
  ['in the middle of its answer', get('begun'), 0, '', [200]],
  ['with more requests waiting', get('slow') + get('slow') + post('slow'), 0, '', [200]],
  [
    'with the rest of a refused body to come',
    `POST /hello HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhe`,
    1,
    '',
    [401],
  ],
];

test.each(PHASES)('a client %s', async (_name, before, answered, after, statuses) => {
  const held: ServerResponse[] = [];
  const wire = await startWire({
    answer: (request, response) => {
      if (request.url === '/quick') response.end('quick');
      else {
        if (request.url === '/begun') response.write('begun, ');
        request.on('end', () => held.push(response));
      }
    },
  });
  const socket = await connected(wire);
  let text = '';
  socket.on('data', (chunk: string) => (text += chunk));
  const ended = once(socket, 'end');
  if (before !== '') await new Promise((flushed) => socket.write(before, 'latin1', flushed));
  await expect.poll(() => wire.server.connections).toBe(1);
  const expected = statuses.length - answered;
  await expect.poll(() => untilResponses(answered)(text)).toBe(true);
  await expect.poll(() => wire.gateway.inFlight).toBe(expected);
  if (before.includes('begun')) await expect.poll(() => text).toContain('begun');
  else if (expected === 1 && after === '') await expect.poll(() => held.length).toBe(1);
  const drained = wire.server.drain();
  if (after !== '') socket.write(after);
  if (expected === 1) {
    await expect.poll(() => held.length).toBe(1);
    held[0]!.end('late');
  }
  await ended;
  const answers = parseResponses(text);
  expect(answers.map(({ status }) => status)).toEqual(statuses);
  if (expected === 1 && !before.includes('begun')) {
    expect(headerValues(answers.at(-1)!, 'connection')).toEqual(['close']);
  }
  socket.end();
  await drained;
  await expectQuiet(wire);
});
