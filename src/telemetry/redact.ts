/**
 * What keeps secrets out of the log. Two independent nets: `redactValue` looks at the names of fields in what is
 * about to be logged, `maskText` looks at the text itself, wherever a secret may have been pasted into it.
 */
const REDACTED = '[Redacted]';

/** Names of fields, lower-case without `-` and `_`, whose value is a secret whatever stands before the name. */
const SECRET_FIELD =
  /(?:authorization|cookie|password|passwd|passphrase|secret|token|assertion|credential|apikey|privatekey|clientkey|logintoken|idtokenhint|codeverifier|secwebsocketprotocol|dpop|jwt|bearer)s?$/;

const MAX_DEPTH = 8;
/** Values looked at in one call: whoever logs a whole server object gets the beginning of it. */
const MAX_VALUES = 1000;
/** No line is longer than 4096 bytes, so nothing beyond could be shown. */
const MAX_STRING = 4096;

/** Whether the value of a field or header of this name must never be shown. */
export function isSecretName(name: string): boolean {
  return SECRET_FIELD.test(name.toLowerCase().replace(/[-_]/g, ''));
}

/**
 * A copy of `value` made of plain data that JSON can hold, with every secret field replaced, at any depth and in any
 * letter case, in flat header lists `[name, value, ...]` and lists of pairs too. Errors become type, message, stack
 * and their own fields. Never throws; cycles and excess end in a marker.
 */
export function redactValue(value: unknown): unknown {
  return copyValue(value, { depth: 0, left: MAX_VALUES });
}

interface Budget {
  depth: number;
  left: number;
}

function copyValue(value: unknown, budget: Budget): unknown {
  switch (typeof value) {
    case 'string':
      return value.length > MAX_STRING ? `${value.slice(0, MAX_STRING)}[cut]` : value;
    case 'bigint':
    case 'symbol':
      return String(value);
    case 'object':
      if (value === null) return null;
      break;
    default:
      return value;
  }
  if (budget.depth >= MAX_DEPTH || budget.left <= 0) return '[more]';
  budget.depth++;
  try {
    return copyObject(value, budget);
  } catch {
    return '[unreadable]'; // A getter or toJSON threw.
  } finally {
    budget.depth--;
  }
}

function copyObject(value: object, budget: Budget): unknown {
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return copyError(value, budget);
  if (Array.isArray(value)) return copyList(value, budget);
  if (value instanceof Set) return copyList([...(value as Set<unknown>)], budget);
  // Headers by its tag: to name it loads all of undici, 36 ms and 15 MiB.
  if (value instanceof Map || Object.prototype.toString.call(value) === '[object Headers]') {
    return copyFields([...(value as Iterable<[unknown, unknown]>)], budget);
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    return copyValue((value.toJSON as () => unknown)(), budget);
  }
  return copyFields(Object.entries(value), budget);
}

function copyFields(fields: readonly (readonly [unknown, unknown])[], budget: Budget): object {
  const copy: [string, unknown][] = [];
  for (const [key, field] of fields) {
    if (budget.left-- <= 0) break;
    copy.push([String(key), copyField(String(key), field, budget)]);
  }
  return Object.fromEntries(copy);
}

function copyField(name: string, value: unknown, budget: Budget): unknown {
  // Nothing is hidden in null, a flag or an absent value, and whether it was there helps whoever reads the log.
  if (value === null || value === undefined || typeof value === 'boolean') return value;
  return isSecretName(name) ? REDACTED : copyValue(value, budget);
}

function copyList(list: readonly unknown[], budget: Budget): unknown[] {
  const copy: unknown[] = [];
  for (const [index, item] of list.entries()) {
    if (budget.left-- <= 0) break;
    const before: unknown = index % 2 === 1 ? list[index - 1] : undefined;
    copy.push(typeof before === 'string' ? copyField(before, item, budget) : copyValue(item, budget));
  }
  return copy;
}

function copyError(error: Error, budget: Budget): object {
  return {
    // First, so that fields that an error type defines itself do not hide the standard ones.
    ...copyFields(Object.entries(error), budget),
    type: error.name,
    message: copyValue(error.message, budget),
    stack: copyValue(error.stack, budget),
    ...(error.cause === undefined ? {} : { cause: copyValue(error.cause, budget) }),
    ...(error instanceof AggregateError ? { errors: copyValue(error.errors, budget) } : {}),
  };
}

const SECRET_WORD =
  'authorization|cookie|password|passwd|passphrase|secret|token|assertion|api_?key|private_?key';

// White space as it stands in text, in JSON and in a URL.
const SPACE = String.raw`(?:\s|\\[tnr]|%20|\+)`;

/** What follows a name in text: in double quotes (escaped, since this is a JSON line), in single ones, or a word. */
const TEXT_VALUE = String.raw`(?:\\+"[^"\\]*|'[^'"\\]*'?|[^\s"\\&]+)`;

/** A compact JWS or JWE, even one that was cut. One part alone is only a header, but matching it keeps this linear. */
const COMPACT_TOKEN = /eyJ[\w-]*(?:\.[\w-]*)*/g;

/** RFC 6750, and the WebSocket subprotocol that carries a token. The phrase "bearer token" is left readable. */
const BEARER = new RegExp(
  String.raw`(bearer(?:${SPACE}+|\.authorization\.k8s\.io\.))(?!tokens?(?![\w.~+/-])|realm=\\*")[^\s"\\]+`,
  'gi',
);

/** RFC 7617. */
const BASIC = new RegExp(String.raw`(basic${SPACE}+)([a-z0-9+/_-]{4,}=*)`, 'gi');

/** `Cookie: ...` and the like, to the end of the line. */
const HEADER_LINE = /((?:authorization|cookie)\s*:\s*)(?:[^"\\\r\n]|\\"|\\\\)+/gi;

/** `password=...`, in form bodies, URLs and connection strings. */
const ASSIGNMENT = new RegExp(String.raw`((?:${SECRET_WORD})(?:\s*=\s*|%3D))${TEXT_VALUE}`, 'gi');

/** `password: ...`. Not `token: ...`, which is how messages about tokens begin. */
const LABEL = new RegExp(
  String.raw`((?:password|passwd|passphrase|secret|(?:access|refresh|id)_?token)'?\s*:\s*)${TEXT_VALUE}`,
  'gi',
);

/** `"password":"..."` inside a string: the quotes are then escaped, and the value ends at one escaped as deeply. */
const EMBEDDED_FIELD = new RegExp(
  String.raw`((?:${SECRET_WORD})(\\+)"\s*:\s*)\2"(?:[^]*?)(?:(?<!\\)\2"|(?=(?<!\\)"))`,
  'gi',
);

/** `https://user:password@host`. */
const USERINFO = /(:\/\/)[^\s"\\/?#]+@/g;

/** Cheap and never wrong in the harmless direction: text for which this is false has nothing that `maskText` masks. */
const SUSPICIOUS = /eyJ|bearer|basic|[=@]|%3d|\\"|(?:authorization|cookie|pass|secret|token)\w{0,6}'?\s*:/i;

/**
 * Masks what is shaped like a credential in a text or in a finished JSON line, which stays valid JSON. Text without
 * any costs one scan.
 */
export function maskText(text: string): string {
  if (!SUSPICIOUS.test(text)) return text;
  return text
    .replace(COMPACT_TOKEN, maskCompact)
    .replace(BEARER, `$1${REDACTED}`)
    .replace(BASIC, maskBasic)
    .replace(HEADER_LINE, `$1${REDACTED}`)
    .replace(EMBEDDED_FIELD, `$1$2"${REDACTED}$2"`)
    .replace(ASSIGNMENT, `$1${REDACTED}`)
    .replace(LABEL, `$1${REDACTED}`)
    .replace(USERINFO, `$1${REDACTED}@`);
}

function maskCompact(token: string): string {
  return token.includes('.') ? REDACTED : token;
}

/** Only what decodes to `user:password` is a credential; "Basic authentication" is English. */
function maskBasic(whole: string, scheme: string, credentials: string): string {
  return Buffer.from(credentials, 'base64').includes(0x3a) ? scheme + REDACTED : whole;
}
