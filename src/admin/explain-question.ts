import type { ExplainQuestion } from '../contracts/explain.ts';
import { InvalidRequest } from '../errors.ts';

/** `token` of RFC 9110 section 5.6.2. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** `field-value` of RFC 9110 section 5.5, with every character above ASCII. */
const VALUE = /^[^\x00-\x08\x0a-\x1f\x7f]*$/;

const LONGEST_METHOD = 64;
const LONGEST_PATH = 32_768;
const MOST_HEADERS = 100;

/**
 * The question in a body. Only its form is checked: whether the path or the token is any good is the question itself.
 * Throws `InvalidRequest` with every wrong field, and never with a value: a token may stand in the wrong place.
 */
export function readQuestion(body: unknown): ExplainQuestion {
  const { token = null, method, path, headers = {}, ...others } = body as Readonly<Record<string, unknown>>;
  const errors: { field: string; message: string }[] = [];
  const check = (ok: boolean, field: string, message: string) => ok || !errors.push({ field, message });
  for (const name of Object.keys(others)) {
    check(false, name.slice(0, 100), 'is not known here; there are token, method, path and headers');
  }
  check(token === null || typeof token === 'string', 'token', 'has to be text or null');
  const isMethod = typeof method === 'string' && method.length <= LONGEST_METHOD && NAME.test(method);
  check(isMethod, 'method', 'has to be an HTTP method, such as GET');
  const isPath = typeof path === 'string' && path !== '' && path.length <= LONGEST_PATH;
  check(isPath, 'path', `has to be text of 1 to ${LONGEST_PATH} characters, such as /hello`);
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    check(false, 'headers', 'has to be an object with header fields');
  } else {
    const fields = Object.entries(headers as Readonly<Record<string, unknown>>);
    check(fields.length <= MOST_HEADERS, 'headers', `has to have at most ${MOST_HEADERS} fields`);
    for (const [name, value] of fields.slice(0, MOST_HEADERS)) {
      const field = `headers.${name.slice(0, 100)}`;
      check(NAME.test(name), field, 'has to be the name of a header field');
      check(
        typeof value === 'string' && VALUE.test(value),
        field,
        'has to be text without control characters',
      );
    }
  }
  if (errors.length > 0) throw new InvalidRequest(errors);
  return { token, method, path, headers } as ExplainQuestion;
}
