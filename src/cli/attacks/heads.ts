import { type Attack, bearerHeader, behind, hostHeader, type Site, usualHeaders } from './attack.ts';

/** 128 KiB: four times what a header section may have here unless configured, and harmless to everyone. */
const TOO_MUCH = 128 * 1024;

/** Header sections that are no HTTP/1.1, or that two readers understand differently (RFC 9112, RFC 9110). */
export function headAttacks(site: Site): Attack[] {
  const { path, authority } = site;
  const get = `GET ${path} HTTP/1.1\r\n`;
  const host = hostHeader(site);
  const bearer = bearerHeader(site);
  const usual = usualHeaders(site);
  const heads: readonly (readonly [name: string, advisory: string | null, head: string])[] = [
    ['obsolete folding', null, `${get}${usual}X-A: b\r\n c\r\n\r\n`],
    ['obsolete folding with a tab', null, `${get}${usual}X-A: b\r\n\tc\r\n\r\n`],
    ['a folded first line', null, `${get} ${usual}\r\n`],
    ['a bare CR in a value', null, `${get}${usual}X-A: b\rc\r\n\r\n`],
    ['a bare CR as line end', null, `${get}${usual}X-A: b\rX-B: c\r\n\r\n`],
    ['a bare LF as line end', null, `${get}${usual}X-A: b\nX-B: c\r\n\r\n`],
    ['a bare LF behind the request line', null, `GET ${path} HTTP/1.1\n${usual}\r\n`],
    ['a bare LF at the end', null, `${get}${usual}\n`],
    ['a NUL in a value', null, `${get}${usual}X-A: b\0c\r\n\r\n`],
    ['a NUL in a name', null, `${get}${usual}X-\0A: b\r\n\r\n`],
    ['a NUL in the target', null, `GET ${path}\0 HTTP/1.1\r\n${usual}\r\n`],
    ['a space before the colon', 'CVE-2021-22959', `${get}${usual}X-A : b\r\n\r\n`],
    ['a line without a colon', null, `${get}${usual}X-A\r\n\r\n`],
    ['an empty name', null, `${get}${usual}: b\r\n\r\n`],
    ['a name that is no token', null, `${get}${usual}X(A): b\r\n\r\n`],
    ['HTTP/0.9', null, `GET ${path}\r\n\r\n`],
    ['HTTP/0.9 by name', null, `GET ${path} HTTP/0.9\r\n${usual}\r\n`],
    ['HTTP/2.0 in the request line', null, `GET ${path} HTTP/2.0\r\n${usual}\r\n`],
    ['HTTP/1.2', null, `GET ${path} HTTP/1.2\r\n${usual}\r\n`],
    ['a word behind the version', null, `GET ${path} HTTP/1.1 x\r\n${usual}\r\n`],
    ['a space in the target', null, `GET ${path} x HTTP/1.1\r\n${usual}\r\n`],
    ['a tab in the request line', null, `GET\t${path} HTTP/1.1\r\n${usual}\r\n`],
    ['a method that is none', null, `get ${path} HTTP/1.1\r\n${usual}\r\n`],
    ['the preface of HTTP/2', null, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['no Host', null, `${get}${bearer}\r\n`],
    ['an empty Host', null, `${get}Host:\r\n${bearer}\r\n`],
    ['two Hosts that agree', 'CVE-2026-31838', `${get}${host}${host}${bearer}\r\n`],
    ['two Hosts that differ', 'CVE-2026-31838', `${get}${host}Host: other.example\r\n${bearer}\r\n`],
    ['a list as Host', null, `${get}Host: ${authority}, other.example\r\n${bearer}\r\n`],
    ['a path in Host', null, `${get}Host: ${authority}/x\r\n${bearer}\r\n`],
    ['a user in Host', null, `${get}Host: user@${authority}\r\n${bearer}\r\n`],
    ['a space behind the name Host', null, `${get}Host : ${authority}\r\n${bearer}\r\n`],
    [
      'two Authorization headers',
      'CVE-2026-31838',
      `${get}${host}Authorization: Bearer x\r\n${bearer === '' ? 'Authorization: Bearer x\r\n' : bearer}\r\n`,
    ],
    ['two Origins', 'CVE-2026-31838', `${get}${usual}Origin: https://a.example\r\nOrigin: https://b.example\r\n\r\n`],
  ]; // prettier-ignore
  return [
    ...heads.map(([name, advisory, head]): Attack => ({
      kind: 'head',
      name,
      advisory,
      bytes: head + behind(site),
      expected: ['400 malformed_request'],
      closes: true,
    })),
    {
      kind: 'head',
      name: 'a header section of 128 KiB',
      advisory: null,
      bytes: `${get}${usual}X-A: ${'a'.repeat(TOO_MUCH)}\r\n\r\n`,
      expected: ['431 headers_too_large'],
      closes: true,
    },
  ];
}
