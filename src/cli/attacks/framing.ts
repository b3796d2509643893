import { type Attack, behind, type Site, usualHeaders } from './attack.ts';

/** Where two readers would see two ends of one request. GET, so that a service that is reached all the same changes nothing. */
export function framingAttacks(site: Site): Attack[] {
  const fields: readonly (readonly [name: string, advisory: string | null, lines: readonly string[]])[] = [
    ['Content-Length and Transfer-Encoding', null, ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['Transfer-Encoding and Content-Length', null, ['Transfer-Encoding: chunked', 'Content-Length: 60']],
    ['two equal Content-Lengths', 'CVE-2026-1525', ['Content-Length: 5', 'content-length: 5']],
    ['two Content-Lengths that differ', 'CVE-2026-1525', ['Content-Length: 0', 'CONTENT-LENGTH: 60']],
    ['a list as Content-Length', 'CVE-2026-1525', ['Content-Length: 5, 5']],
    ['a sign in Content-Length', null, ['Content-Length: +5']],
    ['a negative Content-Length', null, ['Content-Length: -5']],
    ['a hexadecimal Content-Length', null, ['Content-Length: 0x5']],
    ['an empty Content-Length', null, ['Content-Length:']],
    ['a Content-Length that no integer holds', null, ['Content-Length: 18446744073709551621']],
    ['a space behind Content-Length', 'CVE-2021-22959', ['Content-Length : 60']],
    ['a space behind Transfer-Encoding', 'CVE-2021-22959', ['Transfer-Encoding : chunked']],
    ['two equal Transfer-Encodings', 'CVE-2020-8287', ['Transfer-Encoding: chunked', 'transfer-encoding: chunked']],
    ['two Transfer-Encodings that differ', 'CVE-2020-8287', ['Transfer-Encoding: chunked', 'Transfer-Encoding: eee']],
    ['Transfer-Encoding: identity', null, ['Transfer-Encoding: identity']],
    ['Transfer-Encoding: gzip, chunked', null, ['Transfer-Encoding: gzip, chunked']],
    ['Transfer-Encoding: chunked, gzip', null, ['Transfer-Encoding: chunked, gzip']],
    ['Transfer-Encoding: xchunked', null, ['Transfer-Encoding: xchunked']],
    ['a quoted Transfer-Encoding', null, ['Transfer-Encoding: "chunked"']],
    ['a folded Transfer-Encoding', null, ['Transfer-Encoding:', ' chunked']],
    ['an empty Transfer-Encoding', null, ['Transfer-Encoding:']],
  ]; // prettier-ignore
  return [
    ...fields.map(([name, advisory, lines]) => framing(site, '1.1', name, advisory, lines)),
    framing(site, '1.0', 'Transfer-Encoding in HTTP/1.0', null, ['Transfer-Encoding: chunked']),
  ];
}

function framing(
  site: Site,
  version: string,
  name: string,
  advisory: string | null,
  lines: readonly string[],
): Attack {
  const head = `GET ${site.path} HTTP/${version}\r\n${usualHeaders(site)}${lines.join('\r\n')}\r\n\r\n`;
  return {
    kind: 'framing',
    name,
    advisory,
    bytes: `${head}0\r\n\r\n${behind(site)}`,
    expected: ['400 malformed_request'],
    closes: true,
  };
}

/** Bodies that break behind a good header section: without a token nobody would read that far. */
export function bodyAttacks(site: Site): Attack[] {
  if (site.token === null) return [];
  const bodies: readonly (readonly [name: string, body: string])[] = [
    ['a chunk size that is no number', 'g\r\nhello\r\n0\r\n\r\n'],
    ['a negative chunk size', '-5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a chunk size that no integer holds', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
    ['a bare LF behind the chunk size', '5\nhello\r\n0\r\n\r\n'],
    ['a chunk longer than its size', '5\r\nhelloworld\r\n0\r\n\r\n'],
    ['a bare LF in a chunk extension', '5;a=b\nhello\r\n0\r\n\r\n'],
    ['a bare LF behind the last chunk', '5\r\nhello\r\n0\n\r\n'],
    ['framing in the trailers', '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n'],
  ];
  return bodies.map(([name, body]) => ({
    kind: 'body',
    name,
    advisory: null,
    bytes: `GET ${site.path} HTTP/1.1\r\n${usualHeaders(site)}Transfer-Encoding: chunked\r\n\r\n${body}${behind(site)}`,
    expected: ['400 malformed_request'],
    closes: true,
  }));
}
