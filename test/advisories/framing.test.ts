import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseResponses } from '../support/parse-responses.ts';
import { connected, expectQuiet, expectRefused, HOST, problemOf, startWire } from '../gateway/wire.ts';

/** What a reader that ends the request sooner would take for the next one. */
const SMUGGLED = 'GET /open/smuggled HTTP/1.1\r\nHost: api.example.com\r\n\r\n';

async function expectNoSmuggling(...headers: string[]): Promise<void> {
  const wire = await startWire();
  for (const lines of headers) {
    for (const token of [wire.bearer, '']) {
      const bytes = `POST /hello HTTP/1.1\r\n${HOST}${token}${lines}\r\n0\r\n\r\n${SMUGGLED}`;
      await expectRefused(wire, bytes, 400, 'malformed_request');
    }
  }
  await expectQuiet(wire);
}

test('CVE-2026-1525: two Content-Length fields, in whatever case', async () => {
  await expectNoSmuggling(
    'Content-Length: 5\r\ncontent-length: 5\r\n',
    'Content-Length: 0\r\nCONTENT-LENGTH: 60\r\n',
    'Content-Length: 60\r\nContent-length: 0\r\n',
    'Content-Length: 5, 5\r\n',
  );
});

test('CVE-2021-22959: a space between a field name and its colon', async () => {
  await expectNoSmuggling(
    'Content-Length : 60\r\n',
    'Transfer-Encoding : chunked\r\n',
    'Transfer-Encoding\t: chunked\r\n',
    'Content-Length: 5\r\nTransfer-Encoding : chunked\r\n',
  );
});

test('CVE-2020-8287: two Transfer-Encoding fields', async () => {
  await expectNoSmuggling(
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: eee\r\n',
    'Transfer-Encoding: eee\r\nTransfer-Encoding: chunked\r\n',
    'Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
  );
});

test('CVE-2024-22019: chunk extensions do not go on for ever', async () => {
  const wire = await startWire();
  const socket = await connected(wire);
  let answer = '';
  socket.on('data', (chunk: string) => (answer += chunk));
  socket.write(`POST /hello HTTP/1.1\r\n${HOST}${wire.bearer}Transfer-Encoding: chunked\r\n\r\n1;`);
  let sent = 0;
  while (answer === '' && sent < 4 * 1024 * 1024) {
    socket.write('a'.repeat(1024));
    // The gateway runs in this process: its turn comes, whatever the buffers of the system would still take.
    await new Promise((resolve) => setImmediate(resolve));
    await turn(); // the gateway in this process reads only between two turns of the event loop
    sent += 1024;
  }
  socket.end();
  await once(socket, 'close');
  expect(sent).toBeLessThan(4 * 1024 * 1024);
  expect(problemOf(parseResponses(answer)[0]!)).toMatchObject({ status: 400, code: 'malformed_request' });
  await expectQuiet(wire);
  expect(wire.upstream.seen).toEqual([]);
});
