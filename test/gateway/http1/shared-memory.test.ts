import { expect, test } from 'vitest';
import { parseResponses } from '../../support/parse-responses.ts';
import { rawRequest } from '../../support/raw-request.ts';
import { expectQuiet, HOST, startWire } from '../wire.ts';

const CLIENTS = 24;
const SIZES = [20_000, 0, 1, 5_000, 40_000, 70_000, 200_000];

/** The same numbers on every run. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

function piecesOf(bytes: Buffer, next: () => number): Buffer[] {
  // The first request at once: its body waits for a connection to the service while others are read.
  const pieces = [bytes.subarray(0, 25_000)];
  for (let at = 25_000; at < bytes.length;) {
    const length = next() < 0.5 ? 1 + Math.floor(next() * 300) : Math.floor(next() * 90_000);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** Pipelined requests with bodies of this client's own letter. */
function requestsOf(client: number, next: () => number): Buffer {
  const letter = String.fromCharCode(97 + client);
  const parts = SIZES.map((size, i) => {
    const head = `POST /open/${letter}/${size} HTTP/1.1\r\n${HOST}X-Letter: ${letter.repeat(200)}\r\n`;
    const end = i === SIZES.length - 1 ? 'Connection: close\r\n' : '';
    if (next() < 0.5) return `${head}${end}Content-Length: ${size}\r\n\r\n${letter.repeat(size)}`;
    let chunks = '';
    for (let left = size; left > 0;) {
      const length = Math.min(left, 1 + Math.floor(next() * 50_000));
      chunks += `${length.toString(16)}\r\n${letter.repeat(length)}\r\n`;
      left -= length;
    }
    return `${head}${end}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\nX-Trailer: ${letter}\r\n\r\n`;
  });
  return Buffer.from(parts.join(''), 'latin1');
}

test(
  'clients whose bytes come mixed and in any pieces never get into each other',
  { timeout: 60_000 },
  async () => {
    const wire = await startWire({
      // Late, so that what was pipelined waits, and not to the end, so that bodies wait too.
      answer: (request, response) => {
        request.once('end', () => setImmediate(() => response.end(request.url)));
      },
    });
    const next = numbers(1);
    await Promise.all(
      Array.from({ length: CLIENTS }, async (_, client) => {
        const { text } = await rawRequest(wire.port, piecesOf(requestsOf(client, next), next), {
          patience: 50_000,
        });
        const letter = String.fromCharCode(97 + client);
        expect(parseResponses(text).map(({ body }) => body)).toEqual(
          SIZES.map((size) => `/${letter}/${size}`),
        );
      }),
    );
    expect(wire.upstream.seen).toHaveLength(CLIENTS * SIZES.length);
    for (const { url, headers, body, rawTrailers } of wire.upstream.seen) {
      const [, letter = '', size] = url.split('/');
      expect(headers['x-letter']).toBe(letter.repeat(200));
      expect(body === letter.repeat(Number(size))).toBe(true);
      if (rawTrailers.length > 0) expect(rawTrailers).toEqual(['X-Trailer', letter]);
    }
    await expectQuiet(wire);
  },
);
