import { Refusal } from '../errors.ts';
import type { BodyFraming } from './exchange.ts';

/** What one pass over a request's header fields found, and the fields that go on to the upstream as they are. */
export interface RequestHead {
  /** The whole `Host` value, in lower case. */
  readonly host: string;
  /** `Host` without its port. */
  readonly hostname: string;
  readonly authorization: string | null;
  readonly origin: string | null;
  readonly preflightMethod: string | null;
  readonly webSocketProtocols: string | null;
  readonly userAgent: string | null;
  readonly forwardedFor: string | null;
  readonly forwardedHost: string | null;
  readonly forwardedProto: string | null;
  readonly requestId: string | null;
  readonly traceparent: string | null;
  readonly contentType: string | null;
  /** All options of `Connection`, with commas. */
  readonly connection: string | null;
  readonly upgrade: string | null;
  /** What follows the header section. */
  readonly body: BodyFraming;
  readonly expectsContinue: boolean;
  /** Whether the client takes trailers (`TE: trailers`). */
  readonly takesTrailers: boolean;
  /** The caller's to extend. Flat [name, value, ...]: neither hop-by-hop, nor named by `Connection`, nor any name the gateway itself sets. */
  readonly passed: string[];
}

const PASS = 0;
const DROP = 1;
const HOST = 2;
const AUTHORIZATION = 3;
const CONNECTION = 4;
const CONTENT_LENGTH = 5;
const TRANSFER_ENCODING = 6;
const EXPECT = 7;
const TE = 8;
const PROTOCOL = 9;
const ORIGIN = 10;
const PREFLIGHT = 11;
const USER_AGENT = 12;
const FORWARDED_FOR = 13;
const FORWARDED_HOST = 14;
const FORWARDED_PROTO = 15;
const REQUEST_ID = 16;
const TRACEPARENT = 17;
const COOKIE = 18;
const CONTENT_TYPE = 19;
const UPGRADE = 20;

const KINDS: ReadonlyMap<string, number> = new Map([
  ['host', HOST],
  ['authorization', AUTHORIZATION],
  ['connection', CONNECTION],
  ['content-length', CONTENT_LENGTH],
  ['transfer-encoding', TRANSFER_ENCODING],
  ['expect', EXPECT],
  ['te', TE],
  ['sec-websocket-protocol', PROTOCOL],
  ['origin', ORIGIN],
  ['access-control-request-method', PREFLIGHT],
  ['user-agent', USER_AGENT],
  ['cookie', COOKIE],
  ['content-type', CONTENT_TYPE],
  ['x-forwarded-for', FORWARDED_FOR],
  ['x-forwarded-host', FORWARDED_HOST],
  ['x-forwarded-proto', FORWARDED_PROTO],
  ['x-request-id', REQUEST_ID],
  ['traceparent', TRACEPARENT],
  ['forwarded', DROP],
  ['x-real-ip', DROP],
  // Frameworks and proxies let these replace the path that was checked here.
  ['x-original-url', DROP],
  ['x-original-uri', DROP],
  ['x-rewrite-url', DROP],
  ['x-envoy-original-path', DROP],
  // Becomes HTTP_PROXY in a CGI environment (CVE-2016-5385).
  ['proxy', DROP],
  ['keep-alive', DROP],
  ['proxy-connection', DROP],
  ['proxy-authenticate', DROP],
  ['proxy-authorization', DROP],
  ['upgrade', UPGRADE],
  ['http2-settings', DROP],
]);

/** Kinds by name as clients spell it. Bounded, since strangers choose the names. */
const spelled = new Map<string, number>();
const MOST_SPELLINGS = 1024;
const LONGEST_SPELLING = 64;

function kindOf(name: string): number {
  const known = spelled.get(name);
  if (known !== undefined) return known;
  const kind = classify(name.toLowerCase());
  if (name.length <= LONGEST_SPELLING) {
    // Begun anew when full: a stranger's names would else keep those that everyone uses out for good.
    if (spelled.size === MOST_SPELLINGS) spelled.clear();
    spelled.set(name, kind);
  }
  return kind;
}

/** What a name may hold beside letters, digits and `-` (RFC 9110 section 5.6.2). */
const ODD = /[^a-z0-9-]/;
const EVERY_ODD = /[^a-z0-9-]/g;

/** `name` in lower case. */
function classify(name: string): number {
  if (name.startsWith(':')) return DROP; // HTTP/2 pseudo-header fields
  if (ODD.test(name)) {
    // CGI, WSGI, PHP and many frameworks read `_`, `.` and the like as `-`, so the odd spelling of a name that means
    // something here is never let through, and never believed either (CVE-2025-64484).
    return classify(name.replace(EVERY_ODD, '-')) === PASS ? PASS : DROP;
  }
  const kind = KINDS.get(name);
  if (kind !== undefined) return kind;
  return name.startsWith('x-forwarded-') ? DROP : PASS;
}

/** Whether a field of that name may stand in a trailer section: none that the gateway or a framework acts upon. */
export function mayTrail(name: string): boolean {
  const kind = kindOf(name);
  return kind === PASS && !NEVER_TRAILING.has(name.toLowerCase());
}

const NEVER_TRAILING: ReadonlySet<string> = new Set([
  'cache-control', 'content-encoding', 'content-range', 'max-forwards', 'range', 'trailer', 'www-authenticate',
  'set-cookie', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'age', 'date',
  'expires', 'location', 'retry-after', 'vary', 'warning', 'pragma',
]); // prettier-ignore

function malformed(why: string): Refusal {
  return new Refusal('malformed_request', why);
}

/** A field that may stand once only. */
function once(before: string | null, value: string, name: string): string {
  if (before !== null) throw malformed(`The request has more than one ${name} header`);
  return value;
}

/**
 * Reads header fields, flat and in wire order. Throws `malformed_request` for what RFC 9112 or RFC 9110 calls invalid
 * beyond the form of a field line: a missing, doubled or impossible `Host`, a `Transfer-Encoding` other than
 * `chunked` (or with HTTP/1.0), doubled `Authorization`; `expectation_failed` for an unknown expectation.
 *
 * `authority` is HTTP/2's `:authority`, null with HTTP/1.
 */
export function readHead(raw: readonly string[], http10: boolean, authority: string | null): RequestHead {
  let host: string | null = null;
  let authorization: string | null = null;
  let connection: string | null = null;
  let contentLength: string | null = null;
  let transferEncoding: string | null = null;
  let expect: string | null = null;
  let te: string | null = null;
  let protocols: string | null = null;
  let origin: string | null = null;
  let preflightMethod: string | null = null;
  let userAgent: string | null = null;
  let forwardedFor: string | null = null;
  let forwardedHost: string | null = null;
  let forwardedProto: string | null = null;
  let requestId: string | null = null;
  let traceparent: string | null = null;
  let cookieAt = -1;
  let contentType: string | null = null;
  let upgrade: string | null = null;
  let passed: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    switch (kindOf(name)) {
      case PASS:
        passed.push(name, value);
        break;
      case DROP:
        break;
      case HOST:
        host = once(host, value, 'Host');
        break;
      case AUTHORIZATION:
        authorization = once(authorization, value, 'Authorization');
        break;
      case CONNECTION:
        connection = connection === null ? value : `${connection},${value}`;
        break;
      case CONTENT_LENGTH:
        contentLength = once(contentLength, value, 'Content-Length');
        break;
      case TRANSFER_ENCODING:
        transferEncoding = once(transferEncoding, value, 'Transfer-Encoding');
        break;
      case EXPECT:
        expect = once(expect, value, 'Expect');
        break;
      case TE:
        te = te === null ? value : `${te},${value}`;
        break;
      case PROTOCOL:
        protocols = protocols === null ? value : `${protocols}, ${value}`;
        break;
      case ORIGIN:
        origin = once(origin, value, 'Origin');
        passed.push(name, value);
        break;
      case PREFLIGHT:
        preflightMethod = value;
        passed.push(name, value);
        break;
      case USER_AGENT:
        userAgent ??= value;
        passed.push(name, value);
        break;
      case COOKIE:
        // HTTP/2 may split the cookies over several fields; HTTP/1.1 allows one (RFC 9113 section 8.2.3).
        if (cookieAt === -1) {
          cookieAt = passed.length + 1;
          passed.push(name, value);
        } else {
          passed[cookieAt] = `${passed[cookieAt]!}; ${value}`;
        }
        break;
      case CONTENT_TYPE:
        contentType = once(contentType, value, 'Content-Type');
        passed.push(name, value);
        break;
      case UPGRADE:
        upgrade = upgrade === null ? value : `${upgrade},${value}`;
        break;
      case FORWARDED_FOR:
        forwardedFor = forwardedFor === null ? value : `${forwardedFor}, ${value}`;
        break;
      case FORWARDED_HOST:
        // Of the fields that one proxy sets, several make none: who is not believed must not be refused for them.
        forwardedHost = forwardedHost === null ? value : '';
        break;
      case FORWARDED_PROTO:
        forwardedProto = forwardedProto === null ? value : '';
        break;
      case REQUEST_ID:
        requestId = requestId === null ? value : '';
        break;
      case TRACEPARENT:
        // W3C Trace Context: several make none.
        traceparent = traceparent === null ? value : '';
        break;
    }
  }
  if (authority !== null) {
    if (host !== null && host.toLowerCase() !== authority.toLowerCase()) {
      throw malformed('The Host header and :authority differ');
    }
    host = authority;
  }
  if (host === null) throw malformed('The request has no Host header');
  const { value: wholeHost, name: hostname } = readHost(host);
  if (connection !== null) passed = withoutNamed(passed, connection);
  return {
    host: wholeHost,
    hostname,
    authorization,
    origin,
    preflightMethod,
    webSocketProtocols: protocols,
    userAgent,
    forwardedFor,
    forwardedHost,
    forwardedProto,
    requestId,
    traceparent,
    contentType,
    connection,
    upgrade,
    body: readFraming(contentLength, transferEncoding, http10),
    expectsContinue: readExpect(expect, http10),
    takesTrailers: te !== null && /(?:^|,)\s*trailers\s*(?:,|$)/i.test(te),
    passed,
  };
}

function readFraming(length: string | null, encoding: string | null, http10: boolean): BodyFraming {
  if (encoding !== null) {
    if (length !== null) throw malformed('The request has both Content-Length and Transfer-Encoding');
    if (http10) throw malformed('Transfer-Encoding needs HTTP/1.1');
    if (encoding.toLowerCase() !== 'chunked') throw malformed('The only Transfer-Encoding here is chunked');
    return 'chunked';
  }
  if (length === null) return 'none';
  if (!/^[0-9]{1,15}$/.test(length)) throw malformed('Content-Length is not a number of bytes');
  return Number(length);
}

function readExpect(expect: string | null, http10: boolean): boolean {
  if (expect === null || http10) return false;
  if (expect.toLowerCase() === '100-continue') return true;
  throw new Refusal('expectation_failed', 'The only expectation here is 100-continue');
}

/** Without the fields that `Connection` names. Those the gateway sets are not in `passed`, so it cannot name them away. */
function withoutNamed(passed: string[], connection: string): string[] {
  if (/^(?:keep-alive|close|upgrade)$/i.test(connection)) return passed;
  const named = new Set(connection.split(',').map((name) => name.trim().toLowerCase()));
  const kept: string[] = [];
  for (let i = 0; i < passed.length; i += 2) {
    if (!named.has(passed[i]!.toLowerCase())) kept.push(passed[i]!, passed[i + 1]!);
  }
  return kept;
}

interface Host {
  readonly value: string;
  readonly name: string;
}

/** RFC 3986 section 3.2.2: a registered name or IPv4 address of the characters that DNS and Kubernetes know, or [IPv6]. */
const HOST_FORM = /^([a-z0-9._~-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?$/i;

// Nearly every request of a connection, and of a worker, names the same host.
let lastHost: { readonly text: string; readonly host: Host } | null = null;

function readHost(text: string): Host {
  if (lastHost !== null && lastHost.text === text) return lastHost.host;
  const match = HOST_FORM.exec(text);
  if (match === null || Number(match[2] ?? 0) > 65535) throw malformed('The Host header is not a host name');
  const host = { value: text.toLowerCase(), name: match[1]!.toLowerCase() };
  lastHost = { text, host };
  return host;
}
