import { isIP, isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { ListenAddress, Rate } from '../contracts/settings.ts';
import { ENDPOINT, HEALTH_PATH, LINE, ROLE, SCOPE, endpointFault } from '../text/notations.ts';

/**
 * The notations that strings of the configuration have. The schema carries a format's `pattern`, which makes it
 * visible to editors and is how the checker finds its decoder: no two formats share one.
 */
export interface Format<T = unknown> {
  /** ECMA-262 source. Lets any `${...}` pass, whose value an editor cannot know. */
  readonly pattern: string;
  /** With its article: `an address`. */
  readonly noun: string;
  readonly expected: string;
  /** Throws `FormatError`. */
  readonly decode: (text: string) => T;
}

/** A text is not of the format. The message is the particular reason, or '' when the general one says it all. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

const byPattern = new Map<string, Format>();

export function formatOf(pattern: string): Format {
  const format = byPattern.get(pattern);
  if (format === undefined) throw new Error(`The schema has a pattern without a format: ${pattern}`);
  return format;
}

function format<T>(core: string, noun: string, expected: string, decode: (text: string) => T): Format<T> {
  const whole = new RegExp(`^(?:${core})$`, 'u');
  const made: Format<T> = {
    pattern: `^(?:${core})$|\\$\\{`,
    noun,
    expected,
    decode: (text) => {
      if (!whole.test(text)) throw new FormatError();
      return decode(text);
    },
  };
  if (byPattern.has(made.pattern)) throw new Error(`Two formats share the pattern ${core}`);
  byPattern.set(made.pattern, made);
  return made;
}

function plain(core: string, noun: string, expected: string): Format<string> {
  return format(core, noun, expected, (text) => text);
}

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** Timers of Node overflow, and then fire at once, above 24.8 days. */
const LONGEST = 576 * UNITS.h;

function decodeDuration(text: string): number {
  const unit = /[a-z]+$/.exec(text)?.[0] as keyof typeof UNITS;
  const duration = Number(text.slice(0, -unit.length)) * UNITS[unit];
  if (duration > LONGEST) throw new FormatError('it is longer than 576h');
  return duration;
}

function decodePeriod(text: string): number | null {
  if (text === 'unlimited') return null;
  return Number(text.slice(0, -1)) * (text.endsWith('d') ? 24 : 1) * UNITS.h;
}

const SIZES = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const;

function decodeSize(text: string): number {
  const unit = /[A-Za-z]+$/.exec(text)?.[0] as keyof typeof SIZES;
  return Number(text.slice(0, -unit.length)) * SIZES[unit];
}

function decodeHeaderSize(text: string): number {
  const size = decodeSize(text);
  if (size > 16 * SIZES.MiB) throw new FormatError('it is larger than 16MiB');
  return size;
}

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_\\-]{0,61}[A-Za-z0-9_])?';
const HOST = `${LABEL}(?:\\.${LABEL})*`;
const AUTHORITY = `(?:\\[[0-9A-Fa-f:.]+\\]|${HOST})(?::[0-9]{1,5})?`;

/** A host name or an IPv4 address, in lower case. A name that ends in a number would be read as an address by others. */
function decodeHost(text: string): string {
  if (text.length > 253) throw new FormatError('the host name is too long');
  if (/(?:^|\.)[0-9]+$/.test(text) && !isIPv4(text)) throw new FormatError('the IPv4 address is not valid');
  return text.toLowerCase();
}

function decodeAddress(text: string): ListenAddress {
  const colon = text.lastIndexOf(':');
  const port = Number(text.slice(colon + 1));
  if (port > 65535) throw new FormatError('the port is above 65535');
  const host = text.slice(0, colon);
  if (host === '') return { host: everyAddress(), port };
  if (!host.startsWith('[')) return { host: decodeHost(host), port };
  const url = URL.parse(`http://${host}`);
  if (url === null || !isIPv6(host.slice(1, -1))) throw new FormatError('the IPv6 address is not valid');
  return { host: url.hostname.slice(1, -1), port };
}

/** `::` accepts IPv4 too, but cannot be bound on a machine that has no IPv6. */
function everyAddress(): string {
  const all = Object.values(networkInterfaces()).flat();
  return all.some((address) => address?.family === 'IPv6') ? '::' : '0.0.0.0';
}

function decodeLoopback(text: string): ListenAddress {
  const address = decodeAddress(text);
  if (address.port === 0) throw new FormatError('the gateway has to know the port');
  return address;
}

function decodeUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw new FormatError('it cannot be parsed');
  if (url.port === '0') throw new FormatError('there is no port 0');
  return url;
}

function decodeCidr(text: string): string {
  const [address = '', bits] = text.split('/');
  const family = isIP(address);
  if (family === 0) throw new FormatError('the IP address is not valid');
  const longest = family === 6 ? 128 : 32;
  if (bits !== undefined && Number(bits) > longest) {
    throw new FormatError(`the prefix is longer than ${longest} bits`);
  }
  return text;
}

function decodeEndpoint(text: string): string {
  const fault = endpointFault(text);
  if (fault !== null) throw new FormatError(fault);
  return text;
}

function decodePortRange(text: string): PortRange {
  const [first = 0, last = 0] = text.split('-').map(Number);
  if (first < 1 || last > 65535) throw new FormatError('ports go from 1 to 65535');
  if (first > last) throw new FormatError('its end is below its start');
  return { first, last };
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const DURATION = 'such as 500ms, 30s, 10m or 24h';
const SIZE = '0*[1-9][0-9]{0,5}(?:B|KiB|MiB|GiB)';

/** A value that the environment or a file gives, where the value itself is no string. */
export const INTERPOLATED = '^\\$\\{.+\\}$';

export const FORMATS = {
  /** Milliseconds, at least one. */
  duration: format(
    '0*[1-9][0-9]{0,8}(?:ms|s|m|h)',
    'a duration above zero',
    `a number and a unit, ${DURATION}`,
    decodeDuration,
  ),
  /** Milliseconds. */
  durationOrZero: format(
    '[0-9]{1,9}(?:ms|s|m|h)',
    'a duration',
    `a number and a unit, ${DURATION}`,
    decodeDuration,
  ),
  /** Milliseconds; null = unlimited. Not for timers. */
  period: format(
    'unlimited|0*[1-9][0-9]{0,4}[hd]',
    'a period',
    'unlimited, or a number of hours or days, such as 12h or 90d',
    decodePeriod,
  ),
  /** Bytes. */
  headerSize: format(SIZE, 'a size', 'a number and a unit, such as 512B, 64KiB or 1MiB', decodeHeaderSize),
  /** Bytes; null = unlimited. */
  bodySize: format(
    `unlimited|${SIZE}`,
    'a size',
    'unlimited, or a number and a unit, such as 64KiB, 10MiB or 2GiB',
    (text) => (text === 'unlimited' ? null : decodeSize(text)),
  ),
  rate: format(
    '0*[1-9][0-9]{0,8}/[smh]',
    'a rate',
    'a count and s, m or h, such as 10/m or 100/s',
    (text): Rate => {
      const [count, unit] = text.split('/') as [string, 's' | 'm' | 'h'];
      return { count: Number(count), window: UNITS[unit] };
    },
  ),
  address: format(
    `(?:\\[[0-9A-Fa-f:.]+\\]|${HOST})?:[0-9]{1,5}`,
    'an address',
    'host:port such as 127.0.0.1:8080, [::1]:8080, or :8080 for every address',
    decodeAddress,
  ),
  loopbackAddress: format(
    '(?:127(?:\\.[0-9]{1,3}){3}|\\[::1\\]|localhost):[0-9]{1,5}',
    'a loopback address',
    'host:port such as 127.0.0.1:8082; the embedded realm is for development only',
    decodeLoopback,
  ),
  origin: format(
    `https?://${AUTHORITY}/?`,
    'an origin',
    'http:// or https:// with host and port only, such as http://10.96.0.12:8787',
    (text) => decodeUrl(text).origin,
  ),
  /** Without trailing slashes. */
  realmUrl: format(
    `https?://${AUTHORITY}(?:/[^\\s?#\\\\]*)?`,
    'the URL of a realm',
    'such as http://keycloak:8080/auth/realms/demo',
    (text) => {
      const url = decodeUrl(text);
      return url.origin + url.pathname.replace(/\/+$/, '');
    },
  ),
  /** Exactly as written, since `iss` is compared as a string (RFC 7519 section 4.1.1). */
  issuer: format(
    `https?://${AUTHORITY}(?:/[^\\s?#]*)?`,
    'an issuer',
    'the very URL that tokens carry in iss, such as https://services.example.com/auth/realms/demo',
    (text) => {
      decodeUrl(text);
      return text;
    },
  ),
  cidr: format(
    '[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?',
    'a block of addresses',
    'an address or a CIDR block such as 10.0.0.0/8 or fd00::/8',
    decodeCidr,
  ),
  host: format(HOST, 'a host name', 'a name without port or wildcard, such as hello.example.com', decodeHost),
  endpoint: format(ENDPOINT, 'an endpoint', 'a canonical path such as /hello', decodeEndpoint),
  realmName: plain(
    '[A-Za-z0-9_][A-Za-z0-9._~\\-]{0,126}',
    'the name of a realm',
    'letters, digits and . _ ~ - only, since it stands in paths, such as demo',
  ),
  routeName: plain(
    '[A-Za-z0-9][A-Za-z0-9._\\-]{0,62}',
    'a name',
    'at most 63 letters, digits and . _ -, such as hello',
  ),
  role: plain(ROLE, 'a role', 'realm:ROLE or client:CLIENT/ROLE, such as realm:admin or client:api/editor'),
  scope: plain(SCOPE, 'a scope', 'printable ASCII without spaces and quotes, such as read'),
  grant: plain('[A-Za-z0-9._~:/\\-]+', 'a grant type', 'such as password or refresh_token'),
  healthPath: plain(HEALTH_PATH, 'a path', 'such as /healthz'),
  portRange: format('[0-9]{1,5}-[0-9]{1,5}', 'a range of ports', 'such as 20000-20999', decodePortRange),
  namespace: plain('[a-z0-9](?:[a-z0-9\\-]{0,61}[a-z0-9])?', 'a namespace', 'a DNS label such as services'),
  path: plain(
    '[^\\u0000\\r\\n]+',
    'a path',
    'the path of a file or directory, relative to the working directory',
  ),
  line: plain(LINE, 'a name', 'text on one line'),
  /** Secrets: anything but nothing. */
  secret: plain('[^\\u0000]+', 'a secret', 'text that is not empty'),
} as const;
